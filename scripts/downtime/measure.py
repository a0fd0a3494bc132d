"""What scripts/downtime.sh measures, and how.

A product of N files of a few hundred bytes, a hundred to a folder, is installed; a patch changes
every one of them. Each time:

- mv + sync: as many files lie in as many folders, durable; `mv` moves all of them into one folder,
  started by xargs as few times as the length of a command line allows, and one `sync` follows.
- exchange: what apply says of itself (`exchange_ms`): from the first move to the last, and the syncs.
- stop to start: what the product feels besides its own time (`downtime_ms`): stop and start are
  commands that do nothing, so that it is the comparison with the scan, the journal, the exchange,
  the syncs, and the running of those commands.

Then a rollback brings the old files back, and the next patch is prepared for that state. What is
measured begins with nothing left to write (a `sync` before it), and mv and apply take turns in being
the first. Medians are printed; peak memory is that of the apply.
"""

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
from stopwatch import Stopwatch
from world import World

LOCKSTEP = os.environ["LOCKSTEP"]
COUNTS = os.environ.get("LOCKSTEP_COUNTS", "1000:5 10000:5 100000:3")
SEED = int(os.environ.get("LOCKSTEP_SEED", "1"))
IN_A_FOLDER = 100
TARGET_FILES, TARGET = 10_000, 3.0
SERVICE = """
[service.stop]
command = ["true"]
seconds = 60
[service.start]
command = ["true"]
seconds = 60
"""


def write_tree(folder, count, chance):
    for number in range(count):
        path = folder / f"{number // IN_A_FOLDER:04}" / f"{number:06}"
        if number % IN_A_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(chance.randbytes(chance.randrange(100, 900)))


class Installation(World):
    """A vendor, a desk and a host with the first version of a product of `count` files."""

    def __init__(self, at, count):
        super().__init__(at / "world", Stopwatch(at / "logs"), LOCKSTEP)
        self.count = count
        chance = random.Random(f"{SEED} {count}")
        for version in ("1.0.0", "1.0.1"):
            tree = self.at / f"files-{version}"
            write_tree(tree / "app", count, chance)
            self.publish(f"app/1.0/app-{version}", tree)
            shutil.rmtree(tree)
        root = self.environment("PROD")
        with open(root / ".lockstep/node.toml", "a", encoding="utf-8") as rules:
            rules.write(SERVICE)
        self.install("1.0.0")

    def install(self, version):
        patch, _, _ = self.prepare("PROD", f"app/1.0/app-{version}")
        took, said = self.apply("PROD", patch)
        self.without(patch)
        return took, said

    def change(self):
        """Every file is exchanged, and put back afterwards."""
        took, said = self.install("1.0.1")
        if said["files"]["changed"] != self.count:
            sys.exit(f"not every file was changed: {said['files']}")
        self.roll_back("PROD")
        return said["exchange_ms"], said["downtime_ms"], took["peak_mb"]


def move(at, count):
    """mv and sync, in milliseconds."""
    source, target, names = at / "from", at / "to", at / "names"
    write_tree(source, count, random.Random(SEED))
    target.mkdir()
    files = sorted(path for path in source.rglob("*") if path.is_file())
    names.write_bytes(b"\0".join(os.fsencode(path) for path in files))
    os.sync()
    began = time.monotonic()
    subprocess.run(["xargs", "-0", "-a", names, "mv", "-t", target], check=True)
    subprocess.run(["sync"], check=True)
    took = (time.monotonic() - began) * 1000
    if len(os.listdir(target)) != count:
        sys.exit("mv did not move every file")
    shutil.rmtree(source)
    shutil.rmtree(target)
    return took


def measure(at, count, times):
    installation = Installation(at, count)
    moved, exchanged, stood, peaks = [], [], [], []
    for turn in range(times):
        if turn % 2 == 0:
            moved.append(move(at, count))
        exchange, downtime, peak = installation.change()
        if turn % 2 == 1:
            moved.append(move(at, count))
        exchanged.append(exchange)
        stood.append(downtime)
        peaks.append(peak)
        line = f"{count}: mv + sync {moved[-1]:.0f} ms, exchange {exchange} ms, stop to start {downtime} ms"
        print(line, file=sys.stderr)
    middle = statistics.median
    return middle(moved), middle(exchanged), middle(stood), max(peaks)


def main():
    # The folder is removed however this ends, but for a kill.
    rows = []
    with tempfile.TemporaryDirectory(
        prefix="lockstep-downtime-", dir=os.environ.get("LOCKSTEP_WORK")
    ) as work:
        for word in COUNTS.split():
            count, times = map(int, word.split(":"))
            at = Path(work) / str(count)
            at.mkdir()
            rows.append((count, times, *measure(at, count, times)))
            shutil.rmtree(at)
    print("| files changed | runs | mv + sync, ms | exchange, ms | ratio | stop to start, ms | ratio | peak, MB |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    over = False
    for count, times, moved, exchanged, stood, peak in rows:
        ratio = exchanged / moved
        over |= count == TARGET_FILES and ratio > TARGET
        print(
            f"| {count:,} | {times} | {moved:.0f} | {exchanged:.0f} | {ratio:.2f} |"
            f" {stood:.0f} | {stood / moved:.2f} | {peak:.0f} |"
        )
    if over:
        print(f"over the target: at most {TARGET:g} times mv + sync at {TARGET_FILES:,} files", file=sys.stderr)
        if "--check" in sys.argv[1:]:
            sys.exit(1)


main()
