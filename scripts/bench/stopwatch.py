"""Runs whole commands and notes what they took.

Wall seconds are this program's own clock around the command. CPU seconds and peak memory are what
wait4 tells, through /usr/bin/time: its own memory is 2 MB, where a child that this program forks
itself would begin with the peak of this interpreter. Of a command that starts others (a loop of a
shell), the peak is that of the largest one, never a sum.

What is measured begins with nothing left to write: a `sync` stands before each run, except in a sample,
which would wait for whatever else the machine writes.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path


class Stopwatch:
    """Runs commands; each ends with 0 or ends the whole run."""

    def __init__(self, logs, settles=True):
        self.logs, self.settles = Path(logs), settles
        self.logs.mkdir(parents=True, exist_ok=True)

    def run(self, words, cwd=None):
        """What the command took, and what it printed on its standard output."""
        words = [str(word) for word in words]
        took, out = self.logs / "time", self.logs / "out"
        if self.settles:
            os.sync()
        with open(out, "wb") as printed, open(self.logs / "err", "wb") as said:
            began = time.monotonic()
            code = subprocess.run(
                ["/usr/bin/time", "-q", "-f", "%U %S %M", "-o", took, *words],
                cwd=cwd, stdin=subprocess.DEVNULL, stdout=printed, stderr=said, check=False,
            ).returncode
            seconds = time.monotonic() - began
        if code != 0:
            tail = (self.logs / "err").read_text(errors="replace")[-2000:]
            sys.exit(f"{' '.join(words)[:400]}: ended with {code}\n{tail}")
        user, system, peak = took.read_text().split()
        return {
            "seconds": round(seconds, 4),
            "cpu": round(float(user) + float(system), 2),
            "peak_mb": round(int(peak) / 1024, 1),
        }, out.read_text(errors="replace")


class Row:
    """One command of one table: what each of its runs took."""

    def __init__(self, name, **facts):
        self.name, self.facts = name, facts
        self.runs = {}

    def add(self, step, *measured):
        """What several commands took counts as one step: seconds add up, the greatest peak counts."""
        runs = self.runs.setdefault(step, {"seconds": [], "cpu": [], "peak_mb": []})
        for key, together in (("seconds", sum), ("cpu", sum), ("peak_mb", max)):
            runs[key].append(round(together(one[key] for one in measured), 4))
        print(f"{self.name}, {step}: {runs['seconds'][-1]:.2f} s, {runs['peak_mb'][-1]:.0f} MB", file=sys.stderr)

    def note(self, key, value):
        """A number of this run that the command itself told."""
        self.runs.setdefault(key, []).append(value)

    def document(self):
        return {"name": self.name, **self.facts, **self.runs}


def take_turns(runs, steps):
    """Each step once a round; the one that is first moves on by one each round."""
    for turn in range(runs):
        shift = turn % len(steps)
        for step in steps[shift:] + steps[:shift]:
            step()


def middle(values):
    """The median."""
    return statistics.median(values)
