"""The product's releases, as the vendor has them: what each file is in each, written by hand.

Small, and every shape of a change in it: files changed, added and removed, a file of more than one
block and a large one, folders that come and go, links, a read-only folder, config files, and paths
that change their kind.
"""

import hashlib
import io
import os
import random
import zipfile

STEP = "step/trailblazer/step-trailblazer-9.0-mp{0}-2026-1{0}-01-12-00-00"


def noise(seed, size):
    """Bytes that do not compress, the same in every run."""
    return random.Random(seed).randbytes(size)


def jar(word):
    """An archive, with one entry that has this word in it: its change travels as a delta."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(12):
            text = noise(f"entry {number}", 3_000).hex()
            text += word if number == 7 else "same"
            archive.writestr(zipfile.ZipInfo(f"a/{number}.class"), text, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def link(target):
    """A symbolic link."""
    return ("link", target)


CORE_9_0 = {
    "bin/start.sh": (b"#!/bin/sh\nexec java -jar lib/core.jar\n", 0o755),
    "conf/log.properties": b"level=info\n",
    "conf/server.properties": b"port=8080\nthreads=4\n",
    "docs/old/guide.txt": b"the old guide\n",
    "latest": link("lib/old.txt"),
    "lib/core.jar": noise("core 9.0", 200_000),
    "lib/index.dat": noise("index 9.0", 10_000),
    "lib/old.txt": b"only in 9.0\n",
    "lib/same.txt": b"the same in both\n",
    "shut": ("folder", 0o555),
    "shut/a.txt": b"a 9.0\n",
    "shut/gone.txt": b"gone in 9.1\n",
}
CORE_9_1 = {
    "bin/start.sh": (b"#!/bin/sh\nexec java -Xmx2g -jar lib/core.jar\n", 0o755),
    "conf/log.properties": b"level=warn\n",
    "conf/server.properties": b"port=8080\nthreads=8\n",
    "docs/new/guide.txt": b"the new guide\n",
    "latest": link("lib/new.txt"),
    "lib/core.jar": noise("core 9.1", 200_000),
    "lib/index.dat": noise("index 9.1", 12_000),
    "lib/new.txt": b"only in 9.1\n",
    "lib/same.txt": b"the same in both\n",
    "shut": ("folder", 0o555),
    "shut/a.txt": b"a 9.1\n",
    "shut/fresh.txt": b"fresh in 9.1\n",
}
# A link, a file and a folder each become another of the three.
CORE_9_2 = {
    **CORE_9_1,
    "docs/new/guide.txt": link("../../lib/same.txt"),
    "latest": b"a file now\n",
    "lib/index.dat": noise("index 9.2", 9_000),
    "lib/new.txt/part.txt": b"a folder now\n",
}
del CORE_9_2["lib/new.txt"]

RESTAPI_39 = {
    "api/plugin.jar": jar("of restapi 39"),
    "api/restapi.jar": noise("restapi 39", 6_000),
    "data/schema.sql": b"create table a;\n",
    "data/old/seed.sql": b"insert into a;\n",
}
RESTAPI_40 = {
    "api/plugin.jar": jar("of restapi 40"),
    "api/restapi.jar": noise("restapi 40", 7_000),
    "data/schema.sql": b"create table a, b;\n",
    "data/new/seed.sql": b"insert into a, b;\n",
}

# Each release: the recipe paths and files of its components.
RELEASES = {
    1: {"core/9.0/core-9.0.0": CORE_9_0, "restapi/7.0/restapi-7.0.39": RESTAPI_39},
    2: {"core/9.1/core-9.1.0": CORE_9_1, "restapi/7.0/restapi-7.0.40": RESTAPI_40},
    3: {"core/9.2/core-9.2.0": CORE_9_2, "restapi/7.0/restapi-7.0.40": RESTAPI_40},
}


def parts(what):
    """Kind, mode and content or target of what stands in the tables above."""
    match what:
        case ("link", target):
            return "link", None, target
        case ("folder", mode):
            return "folder", mode, None
        case (content, mode):
            return "file", mode, content
        case content:
            return "file", 0o644, content


def lay(folder, files):
    """Writes a component's files into a folder, as its vendor has them."""
    modes = []
    for path, what in files.items():
        at = folder / path
        kind, mode, value = parts(what)
        if kind == "folder":
            at.mkdir(parents=True, exist_ok=True)
            modes.append((at, mode))
            continue
        at.parent.mkdir(parents=True, exist_ok=True)
        if kind == "link":
            at.symlink_to(value)
        else:
            at.write_bytes(value)
            at.chmod(mode)
    for at, mode in modes:
        at.chmod(mode)


def expected(release):
    """What must stand at each path that a release owns: the letters of its kind and execute bit,
    and its content."""
    found = {}
    for files in RELEASES[release].values():
        for path, what in files.items():
            kind, mode, value = parts(what)
            if kind == "link":
                found[path] = ("l", value)
            elif kind == "folder":
                found[path] = ("d", "")
            else:
                letter = "x" if mode & 0o100 else "-"
                found[path] = (letter, hashlib.sha256(value).hexdigest())
    return found


def fits(tree, release, edited=()):
    """What of a listing is not as the release has it; the customer's own files are not looked at."""
    wrong = []
    for path, (letter, content) in expected(release).items():
        if path in edited:
            continue
        mode, _, _, text = tree.get(path, ["none", 0, 0, ""])
        found = mode[0] if mode[0] != "-" else ("x" if mode[3] == "x" else "-")
        if (found, text) != (letter, content):
            wrong.append(f"{path}: {mode} {text[:12]}, not {letter} {content[:12]}")
    others = {p for n in RELEASES for p in expected(n)} - set(expected(release))
    wrong += [f"{p}: still there" for p in sorted(others) if p in tree and tree[p][0][0] != "d"]
    return wrong


def folder_of(recipe):
    """Where a component's files lie in the vendor's folder."""
    return os.path.join("vendor", recipe)
