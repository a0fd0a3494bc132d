"""Where a root lives: its file systems, all in one image file, and their mounts.

An image that is copied keeps the inode of the node's key, which is a mark of the environment: so
each point starts from a copy of the same image, and no copy is a stranger to its own key.
"""

import os
import time
from dataclasses import dataclass

from bench import Broken, ok, run

SIZE = 48 << 20
MAKE = {
    # Blocks of 1 kB make more, and smaller, writes; nothing is left to be initialised later.
    "ext4": ["mkfs.ext4", "-q", "-F", "-b", "1024", "-J", "size=4", "-m", "0",
             "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"],
    # The size that xfs supports would take 64 MB of log to copy for each point.
    "xfs": ["mkfs.xfs", "-q", "-f", "-K", "--unsupported"],
}  # fmt: skip
# Copies of one xfs have one UUID, and several are mounted at the same time.
OPTIONS = {"ext4": "", "xfs": ",nouuid"}


@dataclass(frozen=True)
class Place:
    """File systems by the folder below the mount point; the first is the root's own."""

    name: str
    kind: str
    folders: tuple = ("",)
    # Whether what was kept is the whole file system, inodes and all.
    copies = True

    def make(self, image):
        """Writes an empty image; what is mounted inside the root needs the root first."""
        with open(image, "wb") as file:
            file.truncate(SIZE * len(self.folders))
        for number, _ in enumerate(self.folders):
            device = attach(image, number)
            try:
                ran = run([*MAKE[self.kind], device])
            finally:
                ok(["losetup", "-d", device])
            # mkfs.xfs says on stderr that so small a file system is not supported.
            if ran.code != 0:
                raise Broken(f"mkfs: {ran.words()}")

    def mount(self, image, at, founding=False):
        """Mounts an image; `founding` makes the folders that its parts are mounted on."""
        for number, folder in enumerate(self.folders):
            if founding:
                (at / folder).mkdir(parents=True, exist_ok=True)
            options = f"loop,offset={number * SIZE},sizelimit={SIZE}{OPTIONS[self.kind]}"
            patiently(["mount", "-t", self.kind, "-o", options, image, at / folder])

    def mount_devices(self, devices, at):
        """The same, of devices that stand for the parts."""
        for device, folder in zip(devices, self.folders, strict=True):
            options = "rw" + OPTIONS[self.kind]
            ok(["mount", "-t", self.kind, "-o", options, device, at / folder])

    def save(self, bench, name):
        """Keeps what is mounted as an image, and goes on with it."""
        kept = bench.work / "images" / f"{self.name}.{name}"
        self.unmount(bench.mount)
        copy(bench.image, kept)
        self.mount(bench.image, bench.mount)
        return kept

    def load(self, bench, kept):
        """Mounts a fresh copy of what was kept."""
        copy(kept, bench.image)
        self.mount(bench.image, bench.mount)

    def found(self, bench):
        """Mounts something new and empty."""
        self.make(bench.image)
        self.mount(bench.image, bench.mount, founding=True)

    def unmount(self, at):
        """Unmounts every part that is mounted."""
        for folder in reversed(self.folders):
            if os.path.ismount(at / folder):
                patiently(["umount", at / folder])


def attach(image, number, *options):
    """A loop device for one part of an image."""
    more = ["--offset", number * SIZE, "--sizelimit", SIZE]
    return patiently(["losetup", "-f", "--show", *options, *more, image]).out.strip()


def patiently(arguments):
    """Loop devices are found and then taken, so that another worker may be faster."""
    for pause in (0.02, 0.1, 0.5, 1):
        ran = run(arguments)
        if ran.code == 0:
            return ran
        time.sleep(pause)
    return ok(arguments)


def copy(source, target):
    """Copies an image, its holes as holes."""
    size = os.stat(source).st_size
    with open(source, "rb") as old, open(target, "wb") as new:
        new.truncate(size)
        at = 0
        while at < size:
            try:
                at = os.lseek(old.fileno(), at, os.SEEK_DATA)
            except OSError:
                return
            end = os.lseek(old.fileno(), at, os.SEEK_HOLE)
            new.seek(at)
            old.seek(at)
            new.write(old.read(end - at))
            at = end
