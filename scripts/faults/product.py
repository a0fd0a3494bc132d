"""The product of one worker: it is stopped, started and asked for its health, by product.sh, and
says on what it was started.

Usage: product.py FOLDER. It reads words from FOLDER/ask and answers each with an exit code in
FOLDER/answer. FOLDER/manifest.json names the root, and the listings that are the old and the new
one; while FOLDER/unwell is there, it does not start on the new one.
"""

import json
import os
import sys

from stand import listing


def serve(folder):
    """Answers until it is killed."""
    ask, answer = (os.open(os.path.join(folder, name), os.O_RDWR) for name in ("ask", "answer"))
    os.set_blocking(answer, False)
    words = os.fdopen(ask, "r")
    while True:
        word = words.readline().strip()
        code = obey(word, folder)
        try:
            # Whoever asked before may have been killed before it read its answer.
            os.read(answer, 4096)
        except BlockingIOError:
            pass
        os.write(answer, f"{code}\n".encode())


def obey(word, folder):
    """Does what it is told, and gives the exit code."""
    alive = os.path.join(folder, "running")
    if word == "start":
        here = found(folder)
        with open(os.path.join(folder, "product.log"), "a", encoding="utf-8") as log:
            log.write(here + "\n")
        if here == "new" and os.path.exists(os.path.join(folder, "unwell")):
            return 1
        with open(alive, "w", encoding="utf-8"):
            return 0
    if word == "stop":
        if os.path.exists(alive):
            os.unlink(alive)
        return 0
    return 0 if os.path.exists(alive) else 1


def found(folder):
    """What stands under the root: old, new, or mixed and in which paths."""
    try:
        with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        here = listing(manifest["root"])
    except OSError as error:
        return f"unknown {error}"
    for word in ("new", "old"):
        if here == manifest[word]:
            return word
    old = manifest["old"]
    strange = sorted(p for p in {*here, *old} if here.get(p) != old.get(p))
    return "mixed " + " ".join(strange[:8])


if __name__ == "__main__":
    serve(sys.argv[1])
