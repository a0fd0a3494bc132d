"""A full file system: every size from too small to large enough, by blocks and by inodes.

The edge is searched first: below it the command is refused for want of room, above it goes through.
Around the edge every step is taken, further away some.
"""

from bench import Broken, run
from memory import INODES, ROOM, Memory
from oracle import judge
from rows import Point
from world import Chain, Mounted, disturbed

BLOCK = 4096
NO_SPACE = 33
DONE = (0, 42)
# Steps on both sides of the edge that are all taken.
NEAR = 24
# Most steps that the edge may be away from what is in use.
FAR = 4096


def sizes(bench, world, what, limited, near, far):
    """The whole sweep of one start and one kind of limit: a Point for each step.

    The environment is made here: it lives and dies with the file system in memory.
    """
    memory = Memory(f"tmpfs-{limited}-{what.replace(' ', '-')}")
    chain = Chain(bench, world, memory)
    try:
        start = chain.build()[what]
        edge = search(bench, start, limited)
        close = range(max(0, edge - near), edge + near)
        steps = sorted({*close, *(edge * n // (far + 1) for n in range(far + 1))})
        found = [step_at(bench, start, limited, step, edge) for step in steps]
    finally:
        memory.leave(bench)
    return found


def roomy(bench, world, what, step):
    """The control: there is room enough, so that nothing is refused."""
    memory = Memory(f"roomy-{what}")
    chain = Chain(bench, world, memory)
    try:
        start = chain.build()[what]
        ran, verdict = at(bench, start, "blocks", FAR + step, judged=True)
        return Point(f"{start.name}, room enough", ran.code == NO_SPACE, verdict)
    finally:
        memory.leave(bench)


def search(bench, start, limited):
    """The first step at which there is room enough."""
    low, high = -1, FAR
    while high - low > 1:
        middle = (low + high) // 2
        ran, _ = at(bench, start, limited, middle)
        low, high = (low, middle) if ran.code in DONE else (middle, high)
    if high == FAR:
        raise Broken(f"{start.name}: {FAR} steps of {limited} are not enough")
    return high


def at(bench, start, limited, step, judged=False):
    """Runs the command with so much room more than is in use, and judges it with room again."""
    with Mounted(bench, start):
        size, inodes = start.place.used(bench)
        if limited == "blocks":
            start.place.limit(bench, size + max(step, 1) * BLOCK, INODES)
        else:
            start.place.limit(bench, ROOM, inodes + step)
        command, env = disturbed(bench, start)
        ran = run(command, env)
        start.place.limit(bench, ROOM, INODES)
        return ran, judge(bench, start, ran) if judged else None


def step_at(bench, start, limited, step, edge):
    """One step: below the edge the fault is the refusal, above it there is none."""
    ran, (which, wrong) = at(bench, start, limited, step, judged=True)
    if ran.code not in (*DONE, NO_SPACE):
        wrong = [*wrong, f"want of room is called something else: {ran.words()}"]
    fired = ran.code == NO_SPACE or step >= edge
    return Point(f"{start.name}, {limited} +{step} (edge {edge})", fired, (which, wrong))
