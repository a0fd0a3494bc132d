"""A pair of releases small enough for every run of the tests: a few jars, a library, a text."""

import random
import zipfile


def pairs(at, seed):
    """Name, versions and folders, as for the real pairs."""
    for version in (1, 2):
        write_release(at / str(version), version, seed)
    return [("sample", "1.0.0", "2.0.0", at / "1", at / "2")]


def write_release(folder, version, seed):
    (folder / "jars").mkdir(parents=True)
    for number in range(4):
        write_jar(folder / f"jars/part{number}-{version}.0.0.jar", version, random.Random(f"{seed} {number}"))
    library = bytearray(random.Random(seed).randbytes(200_000))
    for at in range(version * 1000, len(library), 20_000):
        library[at] ^= version
    (folder / "native.so").write_bytes(library)
    (folder / "NOTES.txt").write_text(f"release {version} from seed {seed}\n" * 50)
    if version == 2:
        (folder / "new.txt").write_text("a file without a base\n" * 20)


def write_jar(path, version, chance):
    """Entries of words; one in eight differs from release to release, and every date does."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as jar:
        for number in range(40):
            text = " ".join(f"{chance.randrange(10_000):x}" for _ in range(800))
            if number % 8 == 0:
                text = text[:1000] + f" release {version} " + text[1000:]
            entry = zipfile.ZipInfo(f"org/acme/Class{number}.class", (2020 + version, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            jar.writestr(entry, text)
