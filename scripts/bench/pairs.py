"""Two releases of a product, and which file of the old one each changed file is held against.

A file that changed is held against the file of the same path, or else against one that has gone and
has the same path but for its digits (a version in a name); of several, the one nearest in size.
That is the best that a person could do for a program that takes two files at a time. A file
without such a match is compressed whole. A file that has only another name costs nothing.
"""

import filecmp
import hashlib
import os
import re
from pathlib import Path


def files_below(folder):
    """Every file below a folder but for a node's own state, by its path from there."""
    found = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".lockstep"]
        for name in names:
            path = Path(place) / name
            found[str(path.relative_to(folder))] = path
    return dict(sorted(found.items()))


def digests(folder):
    """SHA-256 of every file, by its path."""
    sums = {}
    for name, path in files_below(folder).items():
        with open(path, "rb") as content:
            sums[name] = hashlib.file_digest(content, "sha256").hexdigest()
    return sums


def without_version(name):
    return re.sub(r"\d+(\.\d+)*", "#", name)


class Pair:
    """What changed from one unpacked release to the other."""

    def __init__(self, name, old_version, new_version, old, new):
        self.name, self.versions = name, (old_version, new_version)
        self.old, self.new = Path(old), Path(new)
        was, self.now = files_below(old), files_below(new)
        self.bytes = sum(path.stat().st_size for path in self.now.values())
        changed = [n for n in self.now if n in was and not filecmp.cmp(was[n], self.now[n], shallow=False)]
        new_names = [n for n in self.now if n not in was]
        gone = {n: p for n, p in was.items() if n not in self.now}
        self.against = [(was[n], self.now[n]) for n in changed]
        self.whole, self.renamed = [], 0
        had = {digest(path): path for path in was.values()} if new_names else {}
        for name in new_names:
            path = self.now[name]
            if digest(path) in had:
                continue
            like = [p for n, p in gone.items() if without_version(n) == without_version(name)]
            if like:
                size = path.stat().st_size
                self.against.append((min(like, key=lambda p: abs(p.stat().st_size - size)), path))
                self.renamed += 1
            else:
                self.whole.append(path)

    def facts(self):
        return {
            "name": self.name,
            "old": self.versions[0],
            "new": self.versions[1],
            "files": len(self.now),
            "bytes": self.bytes,
            "changed": len(self.against) - self.renamed,
            "renamed": self.renamed,
            "whole": len(self.whole),
        }


def digest(path):
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").digest()
