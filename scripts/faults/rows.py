"""A sweep's points, spread over workers, and its row in the final table."""

import os
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from bench import own_namespace

# Complaints that are printed of each row.
SHOWN = 5


@dataclass
class Point:
    """What became of one point."""

    label: str
    fired: bool
    verdict: tuple = ("none", ())

    @property
    def stands(self):
        """Which state stands."""
        return self.verdict[0]

    @property
    def wrong(self):
        """What the oracle found."""
        return self.verdict[1]


@dataclass
class Row:
    """One line of the table."""

    name: str
    points: int = 0
    fired: int = 0
    bad: int = 0
    old: int = 0
    new: int = 0
    undone: int = 0
    seconds: float = 0.0
    complaints: list = field(default_factory=list)

    def add(self, point):
        """Counts a point."""
        self.points += 1
        self.fired += point.fired
        if not point.fired:
            self.complaints.append(f"{point.label}: it did not fire")
        self.old += point.stands == "old"
        self.new += point.stands == "new"
        self.undone += point.stands == "undone"
        if point.wrong:
            self.bad += 1
            self.complaints.append(f"{point.label}: " + "; ".join(point.wrong[:4]))

    @property
    def sound(self):
        """Nothing bad, and every fault fired: a sweep without faults shows nothing."""
        return self.bad == 0 and self.points > 0 and self.fired == self.points

    def line(self):
        """As the table has it."""
        note = "" if self.sound else ("bad" if self.bad else "not every fault fired")
        return (
            f"{self.name:<46} {self.points:>7} {self.fired:>7} {self.old:>6} "
            f"{self.new:>6} {self.undone:>6} {self.bad:>5} {self.seconds:>8.1f}  {note}"
        )


HEAD = f"{'sweep':<46} {'points':>7} {'fired':>7} {'old':>6} {'new':>6} {'undone':>6} {'bad':>5} {'seconds':>8}"


class Pool:
    """Workers, each in mounts of its own."""

    def __init__(self, bench, jobs):
        self.bench = bench
        self.workers = ProcessPoolExecutor(jobs, initializer=own_namespace, initargs=(bench,))

    def sweep(self, name, task, items, *more):
        """Runs `task(bench, *more, item)` for each item, which gives a Point or a list of them."""
        began = time.monotonic()
        row = Row(name)
        running = [self.workers.submit(guarded, task, self.bench, *more, item) for item in items]
        for ended in running:
            for point in ended.result():
                row.add(point)
        row.seconds = time.monotonic() - began
        return row

    def one(self, task, *arguments):
        """Runs one task in a worker."""
        return self.workers.submit(task, self.bench, *arguments).result()

    def close(self):
        """Ends the workers."""
        self.workers.shutdown(cancel_futures=True)


def guarded(task, bench, *arguments):
    """A point at which the harness itself fails is bad, and does not end the sweep."""
    try:
        found = task(bench, *arguments)
    except Exception:  # pylint: disable=broad-except
        text = traceback.format_exc(limit=4)
        found = Point(str(arguments[-1])[:80], True, ("none", [f"the harness failed: {text}"]))
    finally:
        if os.path.ismount(bench.mount):
            os.system(f"umount -R -l {bench.mount}")
    return found if isinstance(found, list) else [found]
