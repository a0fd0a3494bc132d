#!/usr/bin/env python3
"""Makes the trees that real-input.sh measures on. The same seed makes the same tree.

usage: trees.py small FOLDER --seed N --files N --parts N --release 1|2
       trees.py large FOLDER --seed N --gigabytes N (or --megabytes N)
       trees.py mixed FOLDER --seed N --gigabytes N (or --megabytes N)

small: parts of equal size, part0 and so on, each a folder as it is published. Files of 200 to 4,000
bytes of words, in packages as a Java product has them. Release 2 has 5 % of them changed, 1 % gone
and 1 % new.
large: a few files, some over 4 GiB, as images of disks are: of 16 MiB, one does not compress, one is
words, and the rest repeats itself.
mixed: files of 4 KiB to 64 MiB; half is words, half does not compress.
"""

import argparse
import pathlib
import random

MIB = 1 << 20
WORDS = "component release patch install config server index value order stream digest node site".split()
PACKAGES = "core api data query index export import workflow security client mapping util".split()


def text(rng: random.Random, size: int) -> bytes:
    words = " ".join(rng.choice(WORDS) + str(rng.randrange(1000)) for _ in range(size // 6))
    return words.encode()[:size]


def small(folder: pathlib.Path, seed: int, files: int, parts: int, release: int) -> None:
    pool = text(random.Random(seed), MIB)
    per_part = files // parts
    for part in range(parts):
        kept = [n for n in range(per_part) if release == 1 or n % 100 != 50]
        new = range(per_part, per_part + per_part // 100) if release == 2 else []
        for n in [*kept, *new]:
            changed = release == 2 and n % 100 < 5
            rng = random.Random(f"{seed} {part} {n} {2 if changed else 1}")
            package = f"{PACKAGES[n // 40 % 12]}/{PACKAGES[n // 480 % 12]}{n // 5760}"
            path = folder / f"part{part}/modules/part{part}/{package}/Class{n:06}Impl.class"
            write_small(path, rng, pool)


def write_small(path: pathlib.Path, rng: random.Random, pool: bytes) -> None:
    size = rng.randint(200, 4000)
    at = rng.randrange(len(pool) - 4000)
    head = f"# {path.name} {rng.getrandbits(128):032x}\n".encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((head + pool[at : at + size])[:size])


class Stuff:
    """Blocks of 1 MiB: random, of words, and then `pages` that repeat themselves."""

    def __init__(self, seed: int, pages: int):
        self.rng = random.Random(seed)
        noise = [self.rng.randbytes(MIB) for _ in range(64)]
        words = [text(self.rng, MIB) for _ in range(8)]
        page = [text(self.rng, 4096) * 256 for _ in range(8)]
        self.turns = [noise, words, *[page] * pages]
        self.number = 0

    def write(self, path: pathlib.Path, size: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb", buffering=0) as out:
            while size > 0:
                block = self.rng.choice(self.turns[self.number % len(self.turns)])
                # So that no two blocks are the same.
                block = self.rng.getrandbits(128).to_bytes(16, "big") + block[16:]
                out.write(block[:size])
                size -= min(size, MIB)
                self.number += 1


def large(folder: pathlib.Path, seed: int, total: int) -> None:
    stuff, left, number = Stuff(seed, pages=14), total, 0
    for size in [4 * 1024 * MIB + 12345, 4 * 1024 * MIB + 1]:
        if size < left:
            stuff.write(folder / f"images/volume{number}.img", size)
            left -= size
            number += 1
    while left > 0:
        size = min(left, 1024 * MIB + number)
        stuff.write(folder / f"archives/archive{number}.tar", size)
        left -= size
        number += 1


def mixed(folder: pathlib.Path, seed: int, total: int) -> None:
    stuff, left, number = Stuff(seed, pages=0), total, 0
    while left > 0:
        size = min(left, int(4096 * 2 ** stuff.rng.uniform(0, 14)))
        stuff.write(folder / f"lib/{number % 37:02}/archive{number}.jar", size)
        left -= size
        number += 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("shape", choices=["small", "large", "mixed"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--parts", type=int, default=10)
    parser.add_argument("--release", type=int, default=1)
    parser.add_argument("--gigabytes", type=int, default=1)
    parser.add_argument("--megabytes", type=int, help="instead of gigabytes")
    args = parser.parse_args()
    if args.shape == "small":
        small(args.folder, args.seed, args.files, args.parts, args.release)
    else:
        total = (args.megabytes or args.gigabytes * 1000) * 10**6
        {"large": large, "mixed": mixed}[args.shape](args.folder, args.seed, total)
    print(f"made {args.shape} tree {args.folder} from seed {args.seed}")


if __name__ == "__main__":
    main()
