"""Power cuts: a command runs on a disk that logs its writes and flushes, and what a cut would have
left of them is mounted, recovered and judged.

`prefix`: everything up to one write. `torn`: everything up to a flush; of what came after it and
before the cut, a random half is lost and some are torn at 512 bytes.
"""

import os
import random
import struct
import subprocess
import time
from dataclasses import dataclass

import place
from bench import Broken, Ran, ok, run
from oracle import ROLLED_BACK, judge
from rows import Point
from world import Mounted, disturbed

RECORD = struct.Struct("<cQQ")
SECTOR = 512
# Where the superblock of ext4 begins.
SUPERBLOCK = 1024
# Most states that are drawn in place of one that the file system does not come back from.
REDRAWS = 5


class Unmountable(Exception):
    """A torn write of the file system's own, from which it does not recover."""


@dataclass
class Recording:
    """The writes and flushes of one run, from its mount to its unmount."""

    start: object
    base: object
    file: object
    events: list
    begun: int
    ended: int
    ran: Ran

    def cuts(self):
        """After each write since the command began, before the first of them, and at its end: so
        many events are kept."""
        writes = {n + 1 for n, (kind, _, _) in enumerate(self.events) if kind == b"w"}
        return sorted(n for n in {*writes, self.begun, self.ended} if n >= self.begun)

    def bytes_of(self, file, event):
        """What a write wrote."""
        _, _, (at, length) = event
        return os.pread(file.fileno(), length, at)


def record(bench, start):
    """Runs the command of a start on a disk that remembers."""
    disk = bench.out / "disk"
    log = bench.work / "recordings" / f"{start.name}.{start.faulty}.log"
    base = log.with_suffix(".base")
    with Mounted(bench, start):
        start.place.unmount(bench.mount)
        place.copy(bench.image, base)
        disk.touch()
        plugin = bench.work / "harness" / "blocklog.py"
        command = ["nbdfuse", disk, "--command", "nbdkit", "-s", "python", plugin,
                   f"image={bench.image}", f"log={log}"]  # fmt: skip
        server = subprocess.Popen([str(word) for word in command])
        try:
            begun, ended, ran = on_disk(bench, start, disk, log)
        finally:
            ok(["umount", disk])
            server.wait(30)
    return Recording(start, base, log, parse(log), begun, ended, ran)


def on_disk(bench, start, disk, log):
    """Mounts the disk, runs the command, unmounts; gives the length of the log at both ends."""
    wait_until(lambda: os.path.ismount(disk))
    parts = range(len(start.place.folders))
    devices = [place.attach(disk, number, "--direct-io=on") for number in parts]
    try:
        start.place.mount_devices(devices, bench.mount)
        command, env = disturbed(bench, start)
        begun = len(parse(log))
        ran = run(command, env)
        ended = len(parse(log))
        if ran.code not in (0, ROLLED_BACK):
            raise Broken(f"{start.name}: {ran.words()}")
        start.place.unmount(bench.mount)
        return begun, ended, ran
    finally:
        start.place.unmount(bench.mount)
        for device in devices:
            ok(["losetup", "-d", device])


def wait_until(true):
    """Waits for something, ten seconds at most."""
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise Broken("the disk did not come up within ten seconds")


def parse(log):
    """The events of a log: kind, offset on the disk, and where in the log the bytes are."""
    events, at = [], 0
    if not log.exists():
        return events
    size = log.stat().st_size
    with open(log, "rb") as file:
        while at < size:
            file.seek(at)
            kind, offset, length = RECORD.unpack(file.read(RECORD.size))
            at += RECORD.size
            events.append((kind, offset, (at, length)))
            at += length
    return events


def prefix(bench, recording, cut):
    """Every write before the cut is on the disk, and none after it."""
    return replayed(bench, recording, cut, f"cut after event {cut}", lambda event: [event])


def drawn(bench, recording, seed):
    """Of the writes since the last flush before the cut, half are lost and some torn."""
    rng = random.Random(seed)
    cut = rng.choice(recording.cuts())
    flushed = max((n for n in range(cut) if recording.events[n][0] == b"f"), default=0)

    def left(number_and_event):
        number, event = number_and_event
        if number < flushed or event[0] != b"w":
            return [event]
        fate = rng.random()
        if fate < 0.5:
            return []
        return tear(event, rng) if fate < 0.7 else [event]

    label = f"cut after event {cut}, torn after flush {flushed} (seed {seed})"
    return replayed(bench, recording, cut, label, left, numbered=True)


def torn(bench, recording, seed):
    """A drawn state. One that the file system itself does not come back from is said, and another is
    drawn in its place: nothing can be said of a program without its files."""
    for again in range(REDRAWS):
        try:
            return drawn(bench, recording, seed + again * 1_000_003)
        except Unmountable as broken:
            print(f"drawn again, seed {seed + again * 1_000_003}: {broken}", flush=True)
    raise Broken(f"none of {REDRAWS} states could be mounted")


def tear(event, rng):
    """A random half of the sectors of a write; not of a superblock, whose checksum ext4 itself does
    not come back from without a check of the file system."""
    kind, offset, (at, length) = event
    if offset % place.SIZE <= SUPERBLOCK < offset % place.SIZE + length:
        return [event]
    pieces = range(0, length, SECTOR)
    return [
        (kind, offset + piece, (at + piece, min(SECTOR, length - piece)))
        for piece in pieces
        if rng.random() < 0.5
    ]


def replayed(bench, recording, cut, label, left, numbered=False):
    """Makes the image that a cut leaves, and judges it."""
    start = recording.start
    with Mounted(bench, start):
        start.place.unmount(bench.mount)
        place.copy(recording.base, bench.image)
        with open(recording.file, "rb") as log, open(bench.image, "r+b") as image:
            for number, event in enumerate(recording.events[:cut]):
                for piece in left((number, event) if numbered else event):
                    os.pwrite(image.fileno(), recording.bytes_of(log, piece), piece[1])
        try:
            start.place.mount(bench.image, bench.mount)
        except Broken as broken:
            if numbered and "corrupted" in str(broken):
                raise Unmountable(str(broken)[-300:]) from broken
            raise
        # Nothing runs after a power cut.
        (bench.out / "running").unlink(missing_ok=True)
        # What the command said when it had ended must stand, whatever was lost since.
        must_be = start.outcomes[-1] if cut >= recording.ended else None
        return Point(f"{start.name}, {label}", True, judge(bench, start, must_be=must_be))
