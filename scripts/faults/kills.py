"""Kills: at every system call with one worker thread, at random times with the default threads,
and of recovery, twice.
"""

import os
import random
import subprocess
import time
from dataclasses import replace

from bench import Ran
from calls import kill_at, points, trace
from oracle import judge
from place import copy
from rows import Point
from world import Mounted, disturbed


TRIES = 4


def traced(bench, start):
    """The points of a start's command: the calls that it makes in each of two runs."""
    seen = []
    for _ in range(2):
        with Mounted(bench, start):
            command, env = disturbed(bench, start)
            seen.append(points(trace(bench, command, env)))
    steady = {(call.name, call.number) for call in seen[1]}
    return [call for call in seen[0] if (call.name, call.number) in steady]


def at_call(bench, start, call):
    """A kill as one call is entered; where a run makes fewer calls than the traced ones (it waits for
    the product in small steps), the call before is taken."""
    for back in range(TRIES):
        with Mounted(bench, start):
            command, env = disturbed(bench, start)
            at = replace(call, number=max(1, call.number - back))
            ran, fired = kill_at(bench, command, at, env)
            point = Point(f"{start.name}, {call}", fired, judge(bench, start, ran))
            if fired or point.wrong:
                break
    return point


def twice(bench, start, first, seed):
    """A kill of recovery at one call, and of the recovery after it at a random one of those that it
    then makes; drawn again where that run makes fewer calls than the traced one."""
    for again in range(TRIES):
        point = killed_again(bench, start, first, random.Random(seed + again * 1_000_003))
        if point.fired or point.wrong:
            break
    return point


def killed_again(bench, start, first, rng):
    """One draw of it."""
    with Mounted(bench, start):
        command, _ = disturbed(bench, start)
        ran, once = kill_at(bench, command, first)
        between = bench.out / "between"
        swap(bench, start, bench.image, between)
        left = points(trace(bench, command))
        swap(bench, start, between, bench.image)
        second = rng.choice([call for call in left if call.changes] or left)
        ran, again = kill_at(bench, command, second)
        label = f"{start.name}, {first}, then {second}"
        return Point(label, once and again, judge(bench, start, ran))


def swap(bench, start, source, target):
    """Keeps the image, or puts back what was kept."""
    start.place.unmount(bench.mount)
    copy(source, target)
    start.place.mount(bench.image, bench.mount)


def twice_at(bench, start, item):
    """[`twice`] of a pair."""
    return twice(bench, start, *item)


def too_late(bench, start, longest):
    """The control: a kill long after the command has ended."""
    with Mounted(bench, start):
        ran = killed_after(bench, start, longest * 4 + 1)
        return Point(f"{start.name}, too late", ran.code == -9, judge(bench, start, ran))


def at_time(bench, start, longest, seed):
    """A kill after a random part of the time that the command takes; one that came too late is
    drawn again."""
    rng = random.Random(seed)
    for _ in range(20):
        with Mounted(bench, start):
            after = rng.random() * longest
            ran = killed_after(bench, start, after)
            if ran.code == -9:
                label = f"{start.name}, {after * 1000:.1f} ms (seed {seed})"
                return Point(label, True, judge(bench, start, ran))
    return Point(f"{start.name} (seed {seed})", False)


def killed_after(bench, start, seconds):
    """Starts a command and kills it after that time, unless it ends before."""
    output = bench.out / "said"
    command, env = disturbed(bench, start)
    with open(output, "w", encoding="utf-8") as said:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **env},
        )
        time.sleep(seconds)
        process.kill()
        code = process.wait()
    # What it had started itself ends by itself, soon.
    time.sleep(0.02)
    return Ran(code, output.read_text(errors="replace"), "")


def duration(bench, start):
    """How long the command takes without a fault, in seconds."""
    with Mounted(bench, start):
        command, _ = disturbed(bench, start)
        began = time.monotonic()
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return time.monotonic() - began

