"""Kills: at every system call with one worker thread, at random times with the default threads,
and of recovery, twice.
"""

import random
import subprocess
import time
from dataclasses import replace

from bench import Ran
from calls import kill_at, points, trace
from oracle import judge
from rows import Point
from world import Mounted, words


def traced(bench, start, env=None):
    """The points of a start's command."""
    with Mounted(bench, start):
        return points(trace(bench, words(bench, start.command), env))


def at_call(bench, start, call):
    """A kill as one call is entered."""
    with Mounted(bench, start):
        ran, fired = kill_at(bench, words(bench, start.command), call, start.settings.get("env"))
        return Point(f"{start.name}, {call}", fired, judge(bench, start, ran))


def twice(bench, start, pair):
    """A kill of recovery at one call, and of the recovery after it at another."""
    first, second = pair
    with Mounted(bench, start):
        command = words(bench, start.command)
        _, once = kill_at(bench, command, first)
        _, again = kill_at(bench, command, second)
        wrong = judge(bench, start)
        return Point(f"{start.name}, {first}, then {second}", once and again, wrong)


def at_time(bench, start, share, seed):
    """A kill after a random share of the time that the command takes."""
    rng = random.Random(seed)
    for _ in range(20):
        with Mounted(bench, start):
            after = rng.random() * share
            ran = killed_after(bench, start, after)
            if ran.code == -9:
                label = f"{start.name}, {after * 1000:.1f} ms (seed {seed})"
                return Point(label, True, judge(bench, start, ran))
    return Point(f"{start.name} (seed {seed})", False)


def killed_after(bench, start, seconds):
    """Starts a command and kills it after that time, unless it ends before."""
    output = bench.out / "said"
    with open(output, "w", encoding="utf-8") as said:
        process = subprocess.Popen(
            [str(w) for w in words(bench, start.command)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(seconds)
        process.kill()
        code = process.wait()
    return Ran(code, output.read_text(errors="replace"), "")


def duration(bench, start):
    """How long the command takes without a fault, in seconds."""
    with Mounted(bench, start):
        command = [str(w) for w in words(bench, start.command)]
        began = time.monotonic()
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        return time.monotonic() - began


def spread(items, count):
    """So many of them, evenly over all."""
    if count >= len(items):
        return list(items)
    return [items[(2 * n + 1) * len(items) // (2 * count)] for n in range(count)]


def without_journal(start):
    """The positive control: the journal is not sealed."""
    return replace(start, settings={**start.settings, "env": {"LOCKSTEP_FAULTY": "journal"}})
