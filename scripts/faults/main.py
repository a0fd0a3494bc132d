"""The fault sweeps, one after another, and their table. Started by scripts/faults.sh."""

import argparse
import random
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import controls
import errors
import full
import kills
import power
import world
from bench import Bench, Broken, ok
from place import Place
from rows import HEAD, SHOWN, Pool

PLACES = (
    (Place("ext4", "ext4"), True),
    (Place("xfs", "xfs"), True),
    (Place("mounts", "ext4", ("", "root/data")), False),
)
# Points of each kind: the sample's, and the full run's. Those of a system call are shared out among
# all starts, so that each is disturbed wherever it may be before any is disturbed twice.
COUNTS = {
    "kill": (120, 2520),
    "random kill": (30, 300),
    "error": (150, 3000),
    "twice": (16, 200),
    "prefix ext4": (40, 1430),
    "torn ext4": (40, 1100),
    "prefix xfs": (16, 240),
    "torn xfs": (12, 160),
    "full": (1, 20),
}

# Starts of the sample's power cuts.
SAMPLED = ("apply", "rollback", "rehome, moved")
# Seconds that the sample and the full run may take.
LONGEST = (900, 6 * 3600)
# Rows that are summed up, by the beginnings of their names.
KINDS = {
    "kills": ("kill",),
    "injected errors": ("errors",),
    "power-cut states, ext4": ("power cut, ext4", "torn writes, ext4"),
    "power-cut states, xfs": ("power cut, xfs", "torn writes, xfs"),
    "full file systems": ("full",),
}


def spread(items, count):
    """So many of them, evenly over all; the first and the last among them."""
    items = list(items)
    if count >= len(items):
        return items
    if count < 2:
        return items[:count]
    return [items[n * (len(items) - 1) // (count - 1)] for n in range(count)]


def shared(lists, count):
    """How many points each list gives, so that they are `count` in all, where there are enough."""
    given = {name: 0 for name in lists}
    left = count
    while left > 0:
        open_lists = [name for name in lists if given[name] < len(lists[name])]
        if not open_lists:
            break
        part = max(1, left // len(open_lists))
        for name in open_lists:
            more = min(part, len(lists[name]) - given[name], left)
            given[name] += more
            left -= more
    return given


class Run:
    """One run of all sweeps."""

    def __init__(self, bench, pool, whole, seed):
        self.bench = bench
        self.pool = pool
        self.whole = whole
        self.seed = seed
        self.rows = []
        self.controls = []
        self.starts = {}
        self.world = None

    def count(self, kind):
        """How many points of a kind."""
        return COUNTS[kind][self.whole]

    def row(self, row, quietly=False):
        """Shows a row and keeps it for the table."""
        if not quietly:
            self.rows.append(row)
            print(row.line(), flush=True)
            for complaint in row.complaints[:SHOWN]:
                print(f"    {complaint}", flush=True)
        return row

    def control(self, name, row, caught=None):
        """A control is caught where the row is not sound."""
        caught = not row.sound if caught is None else caught
        self.controls.append((name, caught))
        why = (row.complaints or ["there were no points"])[0]
        print(f"control: {name}: {'caught' if caught else 'NOT CAUGHT'} ({why[:150]})", flush=True)

    def unfired(self, name, row):
        """A control is caught where nothing fired, and nothing else is wrong."""
        self.control(name, row, not row.sound and row.fired == 0 and row.bad == 0)

    def prepare(self):
        """The world, its environments, and every situation to start from."""
        began = time.monotonic()
        self.world = world.World(self.bench)
        for where, serviced in PLACES:
            starts = self.pool.one(build, self.world, where, serviced)
            starts |= {r.key: r for r in self.pool.one(world.interruptions, starts["apply"])}
            if self.whole:
                back = self.pool.one(world.interruptions, starts["rollback"])
                starts |= {f"{r.key}, of a rollback": renamed(r) for r in back}
            self.starts |= {(where.name, key): start for key, start in starts.items()}
        print(f"{len(self.starts)} situations in {time.monotonic() - began:.1f} s", flush=True)

    def chosen(self, *names):
        """The starts of these places."""
        return [start for (name, _), start in self.starts.items() if name in names]

    def kills(self):
        """Kills at every system call, at random times, and twice in recovery."""
        starts = self.chosen("ext4", "mounts") if self.whole else self.chosen("ext4")
        traced = {start.name: self.pool.one(kills.traced, start) for start in starts}
        counts = shared(traced, self.count("kill"))
        for start in starts:
            points = pick(traced[start.name], counts[start.name])
            self.row(self.pool.sweep(f"kill: {start.name}", kills.at_call, points, start))
        for start in starts:
            count = max(1, self.count("random kill") // len(starts))
            longest = self.pool.one(kills.duration, start)
            seeds = [self.seed + n for n in range(count)]
            name = f"kill at random: {start.name}"
            self.row(self.pool.sweep(name, kills.at_time, seeds, start, longest))
        recoveries = [start for start in starts if start.command[0] == "recover"]
        for start in recoveries:
            count = max(1, self.count("twice") // len(recoveries))
            changing = [call for call in traced[start.name] if call.changes]
            pairs = [(changing[n % len(changing)], self.seed + n) for n in range(count)]
            self.row(self.pool.sweep(f"killed twice: {start.name}", kills.twice_at, pairs, start))
        return starts, traced

    def errors(self, starts, traced):
        """Errors at every system call."""
        points = {start.name: errors.points(traced[start.name]) for start in starts}
        counts = shared(points, self.count("error"))
        for start in starts:
            chosen = pick_errors(points[start.name], counts[start.name])
            self.row(self.pool.sweep(f"errors: {start.name}", errors.at_call, chosen, start))

    def power(self):
        """Power cuts on both file systems."""
        for kind, places in (("ext4", ("ext4", "mounts")), ("xfs", ("xfs",))):
            starts = self.chosen(*places)
            if not self.whole:
                starts = [start for start in starts if start.key in SAMPLED]
            recordings = [self.pool.one(power.record, start) for start in starts]
            cuts = {r.start.name: r.cuts() for r in recordings}
            counts = shared(cuts, self.count(f"prefix {kind}"))
            for recording in recordings:
                name = recording.start.name
                chosen = ends(recording, spread(cuts[name], counts[name]))
                self.row(self.pool.sweep(f"power cut, {kind}: {name}", power.prefix, chosen, recording))
            for recording in recordings:
                count = max(1, self.count(f"torn {kind}") // len(recordings))
                seeds = [self.seed + n for n in range(count)]
                name = f"torn writes, {kind}: {recording.start.name}"
                self.row(self.pool.sweep(name, power.torn, seeds, recording))

    def full(self):
        """Full file systems, by blocks and by inodes."""
        whats = ("apply", "rollback", "snapshot", "change of kinds") if self.whole else ("apply",)
        far = self.count("full")
        for what in whats:
            near = full.NEAR if self.whole else 5
            for limited in ("blocks", "inodes"):
                row = self.pool.sweep(f"full, {limited}: {what}", full.sizes, [far],
                                      self.world, what, limited, near)  # fmt: skip
                self.row(row)

    def control_all(self, traced):
        """Every control."""
        start = self.starts["ext4", "apply"]
        calls = traced[start.name]
        exchange = [c for c in calls if c.name in ("renameat2", "rename")]
        bad = controls.faulty(start, "journal")
        task = self.pool.sweep("", kills.at_call, exchange, bad)
        self.control("killed without a journal", task, mixed(task))
        points = [(call, "EIO") for call in exchange]
        task = self.pool.sweep("", errors.at_call, points, bad)
        self.control("errors without a journal", task, mixed(task))
        longest = self.pool.one(kills.duration, start)
        for where in ("ext4", "xfs"):
            bad = controls.faulty(self.starts[where, "apply"], "syncs")
            recording = self.pool.one(power.record, bad)
            task = self.pool.sweep("", power.prefix, recording.cuts(), recording)
            self.control(f"power cut without syncs, {where}", task, task.bad > 0)
            task = self.pool.sweep("", power.torn, range(self.seed, self.seed + 12), recording)
            self.control(f"torn writes without syncs, {where}", task, task.bad > 0)
        call = controls.never(exchange[0])
        self.unfired("no kill fired", self.pool.sweep("", kills.at_call, [call], start))
        self.unfired("no error fired", self.pool.sweep("", errors.at_call, [(call, "EIO")], start))
        self.unfired("no kill at any time", self.pool.sweep("", kills.too_late, [longest], start))
        recovery = self.starts["ext4", "recover, mid-exchange"]
        pair = (call, self.seed)
        self.unfired("no first of two kills", self.pool.sweep("", kills.twice_at, [pair], recovery))
        self.unfired("no cut", self.pool.sweep("", power.prefix, [], None))
        self.unfired("room enough", self.pool.sweep("", full.roomy, [0], self.world, "apply"))
        for number, (spoil, word) in enumerate(controls.SPOILT):
            task = self.pool.sweep("", controls.spoilt, [number], start)
            seen = any(word in complaint for complaint in task.complaints)
            self.control(f"oracle: {spoil.__doc__.rstrip('.')}", task, seen)
        for number in controls.LIES:
            task = self.pool.sweep("", controls.liar, [number], start)
            self.control(f"oracle: said what is not so, {number + 1}", task, task.bad > 0)

    def table(self):
        """The table, its sums, and whether all is well."""
        print(f"\n{HEAD}")
        for row in self.rows:
            print(row.line())
        for kind, names in KINDS.items():
            rows = [row for row in self.rows if row.name.startswith(names)]
            print(f"{kind + ', in all':<46} {sum(r.points for r in rows):>7} "
                  f"{sum(r.fired for r in rows):>7} {'':>20} "
                  f"{sum(r.bad for r in rows):>5}")  # fmt: skip
        missed = [name for name, caught in self.controls if not caught]
        caught = len(self.controls) - len(missed)
        print(f"positive controls: {caught} of {len(self.controls)} caught")
        for name in missed:
            print(f"NOT CAUGHT: {name}")
        unsound = [row.name for row in self.rows if not row.sound]
        for name in unsound:
            print(f"NOT SOUND: {name}")
        print(f"seed {self.seed}")
        return not missed and not unsound


def mixed(row):
    """Whether a sweep found files of both states together."""
    return any("is not as in" in complaint for complaint in row.complaints)


def build(bench, the_world, where, serviced):
    """An environment's starts."""
    return world.Chain(bench, the_world, where, serviced).build()


def renamed(start):
    """The recovery of a rollback, apart from that of an apply."""
    return replace(start, key=f"{start.key}, of a rollback")


def pick(points, count):
    """Points that change something first, all of them if there is room; then some of the others."""
    changing = [point for point in points if point.changes]
    others = [point for point in points if not point.changes]
    if count <= len(changing):
        return spread(changing, count)
    return [*changing, *spread(others, count - len(changing))]


def pick_errors(points, count):
    """The same of points with an error each."""
    changing = [point for point in points if point[0].changes]
    others = [point for point in points if not point[0].changes]
    if count <= len(changing) + 8:
        # One kind of error after another, so that a small choice has all of them.
        few = spread(others, max(2, count // 5))
        return [*spread(changing, count - len(few)), *few]
    return [*changing, *spread(others, count - len(changing))]


def ends(recording, cuts):
    """The cut just as the command ended is always among them."""
    return sorted({*cuts, recording.begun, recording.ended})


def main():
    """Runs what was asked for, and ends with 0 where all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--sample", action="store_true", help="a few points of every kind")
    size.add_argument("--full", action="store_true", help="thousands of points")
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--faulty", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    asked = parser.parse_args()
    # Longer than any run takes, so that one that hangs ends; what it had begun goes with it.
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("the sweeps take too long"))
    signal.alarm(LONGEST[asked.full])
    work = asked.work
    ok(["mount", "-t", "tmpfs", "-o", "mode=0700", "none", work])
    for name in ("mnt", "out", "images", "recordings"):
        (work / name).mkdir()
    shutil.copytree(Path(__file__).parent, work / "harness")
    shutil.copy(asked.program, work / "lockstep")
    shutil.copy(asked.faulty, work / "lockstep-faulty")
    bench = Bench(work / "lockstep", work / "lockstep-faulty", work)
    pool = Pool(bench, asked.jobs)
    print(f"seed {asked.seed} (--seed {asked.seed} draws the same points)", flush=True)
    run = Run(bench, pool, asked.full, asked.seed)
    try:
        run.prepare()
        print(HEAD, flush=True)
        starts, traced = run.kills()
        run.errors(starts, traced)
        run.power()
        run.full()
        run.control_all(traced)
    except Broken as broken:
        print(f"the harness cannot go on: {broken}", file=sys.stderr)
        return 2
    finally:
        pool.close()
    return 0 if run.table() else 1


if __name__ == "__main__":
    sys.exit(main())
