"""HDiffPatch on every file of a folder, with its Python binding: one process for all of them.

usage: hdiff.py create OLD NEW PATCHES zstd|lzma2
       hdiff.py apply OLD PATCHES NEW
       hdiff.py version

The strongest preset of each codec, threads included; without the check that reads the patch back,
as the other programs have none; with the cache that makes it faster and changes no byte.
"""

import importlib.metadata
import sys
from pathlib import Path

import hdiffpatch


def create(old, new, patches, codec):
    preset = {"zstd": hdiffpatch.ZStdConfig, "lzma2": hdiffpatch.Lzma2Config}[codec].best_compression()
    for path in sorted(Path(old).iterdir()):
        patch = hdiffpatch.diff(
            path.read_bytes(), (Path(new) / path.name).read_bytes(), preset,
            validate=False, big_cache_match=True,
        )
        (Path(patches) / path.name).write_bytes(patch)


def apply(old, patches, new):
    for path in sorted(Path(old).iterdir()):
        content = hdiffpatch.apply(path.read_bytes(), (Path(patches) / path.name).read_bytes())
        (Path(new) / path.name).write_bytes(content)


def version():
    print("hdiffpatch", importlib.metadata.version("hdiffpatch"))


if __name__ == "__main__":
    {"create": create, "apply": apply, "version": version}[sys.argv[1]](*sys.argv[2:])
