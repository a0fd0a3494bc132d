"""What every sweep shares: the programs, the one temporary folder, and how a command is run.

The harness runs in mount and process namespaces of its own (scripts/faults.sh sees to that), and
each worker in one more. So the root has the same path in all of them, which the marks of an
environment need, and nothing stays mounted or running, however a worker ends.
"""

import ctypes
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWNS = 0x00020000
# Longest that any one command may take; the slowest takes about a second.
LIMIT = 60


class Broken(Exception):
    """The harness itself cannot go on: nothing is said of the program."""


@dataclass(frozen=True)
class Bench:
    """The programs under test and the folders, the same in every worker."""

    program: Path
    faulty: Path | None
    work: Path

    @property
    def mount(self):
        """Where the image of a root is mounted."""
        return self.work / "mnt"

    @property
    def root(self):
        """The root of the installation, the same path in every worker."""
        return self.mount / "root"

    @property
    def out(self):
        """A worker's own folder: receipts, traces, what the product did."""
        return self.work / "out"

    @property
    def image(self):
        """The image that the worker has mounted."""
        return self.out / "image"

    @property
    def product_log(self):
        """What the product was started on, a word a line."""
        return self.out / "product.log"


@dataclass
class Ran:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def words(self):
        """For a report: the end of what it said."""
        said = (self.out + self.err).strip().replace("\n", " / ")
        return f"exit {self.code}: {said[-600:]}"


def run(arguments, env=None, cwd=None):
    """Runs a command, bounded in time, without standard input."""
    try:
        done = subprocess.run(
            [str(a) for a in arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIMIT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise Broken(f"took longer than {LIMIT} s: {' '.join(map(str, arguments))}") from late
    return Ran(done.returncode, done.stdout, done.stderr)


def ok(arguments, env=None, cwd=None):
    """Runs a command that must succeed."""
    ran = run(arguments, env, cwd)
    if ran.code != 0:
        raise Broken(f"{' '.join(map(str, arguments))}\n{ran.words()}")
    return ran


def own_namespace(bench):
    """A worker's start: mounts of its own, and an empty folder of its own in memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise Broken(f"unshare: {os.strerror(ctypes.get_errno())}")
    ok(["mount", "-t", "tmpfs", "-o", "mode=0700", "none", bench.out])
    for name in ("ask", "answer"):
        os.mkfifo(bench.out / name)
    # It ends with the process namespace.
    subprocess.Popen(["python3", bench.work / "harness" / "product.py", bench.out])


def product(bench, word):
    """A command of the product, as a service manager gives it."""
    return run(["sh", bench.work / "harness" / "product.sh", word, bench.out]).code


def clear(folder):
    """Empties a worker's folder, but for the image, which is replaced, and the product's pipes."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name not in ("image", "ask", "answer"):
            entry.unlink()
