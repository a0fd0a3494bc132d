"""System calls: which there are in a run, and a fault at one of them (strace).

`when=K` counts for each thread, so that a point is a call's name and its number in its thread;
with one worker thread there are few threads, and a point that two threads reach fires in the first.
Never with --seccomp-bpf: a kill does not fire then.
"""

import re
from dataclasses import dataclass

from bench import Broken, run

# One worker thread, so that calls have the same numbers in every run.
ROLLED_BACK = 40
ONE_THREAD = {"RAYON_NUM_THREADS": "1"}

# Calls that change something outside the process, or make a change durable.
CHANGING = frozenset(
    """chmod chown copy_file_range fallocate fchmod fchmodat fchown fchownat fdatasync flock
    fremovexattr fsetxattr fsync ftruncate ioctl link linkat lremovexattr lsetxattr mkdir mkdirat
    mknod pwrite64 rename renameat renameat2 rmdir sendfile symlink symlinkat sync syncfs
    sync_file_range truncate unlink unlinkat utimensat write writev""".split()
)
# Other calls on files that may fail.
READING = frozenset(
    """access close faccessat faccessat2 fgetxattr flistxattr fstat fstatfs getcwd getdents64
    lgetxattr lseek newfstatat open openat openat2 pread64 read readlink readlinkat statfs
    statx""".split()
)
# How often these are called depends on timing.
UNSTEADY = frozenset(
    """clock_nanosleep futex nanosleep poll ppoll restart_syscall sched_yield wait4
    waitid""".split()
)
LINE = re.compile(r"^(\d+) +(\w+)\((.*)$")


@dataclass(frozen=True)
class Call:
    """One call of a run: its name, its number in its thread, and the line that strace printed."""

    name: str
    number: int
    text: str = ""
    of_folder: bool = False
    of_child: bool = False

    def __str__(self):
        return f"{self.name} {self.number}"

    @property
    def changes(self):
        """Whether it changes something."""
        made = self.name in ("open", "openat", "openat2") and "O_CREAT" in self.text
        return made or self.name in CHANGING


def strace(bench, arguments, *options, env=None):
    """Runs a command under strace with one worker thread; its log lies in the worker's folder."""
    log = bench.out / "strace.log"
    ran = run(
        ["strace", "-f", "-qq", "-y", "-s", "256", "-o", log, *options, "--", *arguments],
        env={**ONE_THREAD, **(env or {})},
    )
    return ran, log.read_text(errors="replace")


def trace(bench, arguments, env=None):
    """Every call that a command makes, from the program's own first one on, in order."""
    ran, log = strace(bench, arguments, env=env)
    if ran.code not in (0, ROLLED_BACK):
        raise Broken(f"{arguments}: {ran.words()}")
    counts, calls, begun, folders = {}, [], False, set()
    children = {line.split(" ", 1)[0] for line in log.splitlines()[1:] if " execve(" in line}
    for line in log.splitlines():
        if not (match := LINE.match(line)):
            continue
        thread, name, text = match.groups()
        number = counts[thread, name] = counts.get((thread, name), 0) + 1
        # The runtime's first call, after the loader's.
        begun = begun or name == "poll"
        # A number that the loader reached as well would fire there.
        if begun:
            child = thread in children
            calls.append(Call(name, number, text, of_folder(text, folders), child))
    loader = {}
    for call in calls:
        loader.setdefault(call.name, call.number - 1)
    return [c for c in calls if c.number > loader[c.name]]


def of_folder(text, folders):
    """Whether a call is on an open folder; `folders` are the paths of those that were opened."""
    opened = re.search(r"O_DIRECTORY.* = \d+<(.*)>", text)
    if opened:
        folders.add(opened.group(1))
    first = re.match(r"\d+<(.*?)>", text)
    return bool(first) and first.group(1) in folders


def points(calls):
    """Each point once, those that change something first, in the order of the run.

    A point that a command of the product reaches first is left out: the product is not what is
    disturbed.
    """
    seen = {}
    for call in calls:
        if call.name not in UNSTEADY:
            seen.setdefault((call.name, call.number), call)
    own = [call for call in seen.values() if not call.of_child]
    return sorted(own, key=lambda call: not call.changes)


def first_after(calls, call):
    """The first changing call after another one."""
    behind = calls[calls.index(call) + 1 :]
    return next(c for c in behind if c.changes)


def kill_at(bench, arguments, call, env=None):
    """Kills a command as it enters a call, and says whether it was killed."""
    ran, _ = strace(
        bench,
        arguments,
        f"--trace={call.name}",
        f"--inject={call.name}:signal=KILL:when={call.number}",
        env=env,
    )
    return ran, ran.code == -9


def fail_at(bench, arguments, call, error, env=None):
    """Has one call answer with an error, and gives the lines of strace that say so."""
    ran, log = strace(
        bench,
        arguments,
        f"--trace={call.name}",
        f"--inject={call.name}:error={error}:when={call.number}",
        env=env,
    )
    return ran, [line for line in log.splitlines() if "INJECTED" in line]
