"""A root in memory (tmpfs), of any size, for the sweeps of a full file system.

It is put back in place, file by file. The node's key stays where it is, since its inode is a mark of
the environment; `current`, which names its own inode, is put back as the very file that it was.
"""

import os
import shutil
import stat
from pathlib import Path

from bench import ok

KEY = ".lockstep/key"
CURRENT = ".lockstep/current"
ROOM = 256 << 20
INODES = 100_000


class Memory:
    """A place like [`place.Place`], whose images are what is in them."""

    folders = ("",)
    # What was kept is put back around the one key, which so must stay the same file.
    copies = False

    def __init__(self, name):
        self.name = name

    def found(self, bench):
        """Mounts an empty one; it stays mounted, as only so its key keeps its inode."""
        ok(["mount", "-t", "tmpfs", "-o", f"size={ROOM},nr_inodes={INODES}", "none", bench.mount])

    def save(self, bench, _name):
        """Keeps what is there: path, status, and content or target."""
        kept = []
        for folder, folders, files in os.walk(bench.root):
            folders.sort()
            kept.append((folder, os.stat(folder), None))
            for name in [*files, *(f for f in folders if os.path.islink(f"{folder}/{f}"))]:
                path = os.path.join(folder, name)
                about = os.lstat(path)
                if stat.S_ISLNK(about.st_mode):
                    kept.append((path, about, os.readlink(path)))
                elif path == str(bench.root / CURRENT):
                    kept.append((path, about, self.second_name(bench, path, about)))
                else:
                    with open(path, "rb") as file:
                        kept.append((path, about, file.read()))
        return kept

    def second_name(self, bench, path, about):
        """A name beside the root that keeps a file from going when the root's own name for it does."""
        name = bench.mount / f"kept.{about.st_ino}"
        if not name.exists():
            os.link(path, name)
        return name

    def load(self, bench, kept):
        """Puts back what was kept."""
        self.limit(bench, ROOM, INODES)
        key = bench.root / KEY
        for entry in [*bench.root.iterdir(), *key.parent.iterdir()]:
            if entry in (key, key.parent):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        for path, about, content in kept:
            if path == str(key):
                continue
            if content is None:
                os.makedirs(path, exist_ok=True)
            elif stat.S_ISLNK(about.st_mode):
                os.symlink(content, path)
            elif isinstance(content, Path):
                os.link(content, path)
            else:
                with open(path, "wb") as file:
                    file.write(content)
                os.chmod(path, stat.S_IMODE(about.st_mode))
        for path, about, content in reversed(kept):
            if content is None:
                os.chmod(path, stat.S_IMODE(about.st_mode))

    def limit(self, bench, size, inodes):
        """Gives it so many bytes and inodes."""
        options = f"remount,size={size},nr_inodes={inodes}"
        ok(["mount", "-o", options, bench.mount])

    def used(self, bench):
        """Bytes and inodes that are in use."""
        about = os.statvfs(bench.mount)
        blocks = about.f_blocks - about.f_bfree
        return blocks * about.f_frsize, about.f_files - about.f_ffree

    def unmount(self, _at):
        """Nothing: it goes with the worker's namespace, or with [`Memory.leave`]."""

    def leave(self, bench):
        """Gives it up."""
        ok(["umount", bench.mount])
