"""An error of the operating system at every call on a file, and what the program says of it."""

import re

from calls import CHANGING, READING, fail_at
from kills import TRIES
from oracle import judge
from rows import Point
from world import Mounted, disturbed

ERRORS = ("ENOSPC", "EIO", "EMFILE", "EACCES")
# Errors that nothing but the device or the system accounts for: an internal error may be all that
# there is to say of them.
UNUSUAL = ("EIO", "EMFILE")
INTERNAL = 1


def points(calls):
    """Every call on a file with every error, those that change something first."""
    files = [call for call in calls if call.name in CHANGING or call.name in READING]
    # No file system answers so to the closing of a folder, and the standard library counts on that.
    files = [call for call in files if not (call.name == "close" and call.of_folder)]
    return [(call, error) for call in files for error in ERRORS]


def at_call(bench, start, point):
    """One call answers with an error."""
    call, error = point
    for _ in range(TRIES):
        with Mounted(bench, start):
            command, env = disturbed(bench, start)
            ran, hits = fail_at(bench, command, call, error, env)
            which, wrong = judge(bench, start, ran)
            wrong = [*wrong, *words(ran, error, hits)]
            if hits or wrong:
                break
    return Point(f"{start.name}, {call} {error}", bool(hits), (which, wrong))


def words(ran, error, hits):
    """An internal error is the last resort, and names what it happened to."""
    if ran.code != INTERNAL:
        return []
    if error not in UNUSUAL:
        return [f"{error} is called an internal error: {ran.words()}"]
    if any("resumed>" in hit or named(hit, ran.err) for hit in hits):
        return []
    return [f"the path is not named ({hits[0].strip()[:160]}): {ran.words()}"]


def named(hit, message):
    """Whether a message names a path of a call, or a folder above it; a draft may go by the name that it
    will have, and a new file by the path whose owner and mode it takes over."""
    # Every command's first line names the root.
    said = "\n".join(line for line in message.splitlines() if not line.startswith("environment "))
    if "give a new file the " in said:
        return True
    paths = re.findall(r'[<"]([^<>"]+)[>"]', hit)
    ends = [re.sub(r"^\.(.+)\.[0-9a-f]{32}\.tmp$", r"\1", path.split("/")[-1]) for path in paths]
    above = [path.rstrip(":") for path in re.findall(r"/[^ ]+", said)]
    return any(end and end in said for end in ends) or any(
        path.startswith(folder + "/") for path in paths for folder in above
    )
