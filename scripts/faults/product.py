"""The product: it is stopped, started and asked for its health, and says on what it was started.

Started by the service manager of the harness, and by lockstep itself where node.toml says so.
Usage: product.py start|stop|health|running FOLDER. FOLDER/manifest.json names the root, and the
listings that are the old and the new one.
"""

import json
import os
import sys

from stand import listing


def main():
    """Does what it is told, and ends with 0 where it could."""
    word, folder = sys.argv[1], sys.argv[2]
    alive = os.path.join(folder, "running")
    if word == "start":
        with open(os.path.join(folder, "product.log"), "a", encoding="utf-8") as log:
            log.write(found(folder) + "\n")
        with open(alive, "w", encoding="utf-8"):
            return 0
    if word == "stop":
        if os.path.exists(alive):
            os.unlink(alive)
        return 0
    return 0 if os.path.exists(alive) else 1


def found(folder):
    """What stands under the root: old, new, or mixed and in which paths."""
    with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    here = listing(manifest["root"])
    for word in ("new", "old"):
        if here == manifest[word]:
            return word
    old = manifest["old"]
    strange = sorted(p for p in {*here, *old} if here.get(p) != old.get(p))
    return "mixed " + " ".join(strange[:8])


if __name__ == "__main__":
    sys.exit(main())
