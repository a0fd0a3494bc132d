"""Positive controls: what the sweeps must find bad. A control that is not caught is an error.

Three kinds: the program with a fault built in (the feature `faulty`), sweeps whose fault does not
fire, and a root on which something was spoiled by hand for each thing that the oracle asserts.
"""

import hashlib
import json
import os
from dataclasses import replace

from calls import Call
from oracle import judge
from rows import Point
from world import Mounted, words
from bench import Ran, ok


def never(call):
    """The same call at a number that is not reached: the fault does not fire."""
    return Call(call.name, 60_000, call.text)


def own(bench, *parts):
    """A path of the program's own."""
    return bench.root.joinpath(".lockstep", *parts)


def mixed(bench, start):
    """One file of the new release among the old."""
    path = next(p for p in sorted(start.old.tree) if start.new.tree.get(p) not in
                (None, start.old.tree[p]) and start.old.tree[p][0][0] == "-")  # fmt: skip
    (bench.root / path).write_bytes(b"another content\n")


def mode(bench, start):
    """One mode that is neither."""
    path = next(p for p, what in sorted(start.old.tree.items()) if what[0].startswith("-rw-r--r--"))
    (bench.root / path).chmod(0o640)


def gone(bench, start):
    """One file less."""
    (bench.root / next(p for p, what in sorted(start.old.tree.items()) if what[0][0] == "-")).unlink()


def sequence(bench, start):
    """The state before the one that stood."""
    spoil_state(bench, start.old.sequence - 1, lambda state: None)


def challenge(bench, start):
    """The challenge that the patch answers is closed, though nothing was applied."""
    spoil_state(bench, start.old.sequence, lambda state: state.update(challenges=[]))


def floor(bench, start):
    """A floor that fell."""

    def lower(state):
        for group in state["floors"]:
            group["roles"] = [role.rsplit(" ", 1)[0] + " 1" for role in group["roles"]]

    spoil_state(bench, start.old.sequence, lower)


def time_floor(bench, start):
    """A time floor that fell."""
    early = "2001-01-01T00:00:00Z"
    spoil_state(bench, start.old.sequence, lambda state: state.update(time_floor=early))


def spoil_state(bench, number, change):
    """Makes another state the one that counts, with digests that fit."""
    folder = own(bench, "states", str(number))
    state = json.loads((folder / "state.json").read_bytes())
    change(state)
    text = json.dumps(state, sort_keys=True, separators=(",", ":"))
    (folder / "state.json").write_text(text)
    lines = hashlib.sha256()
    for name in sorted(os.listdir(folder)):
        content = (folder / name).read_bytes()
        lines.update(f"{name} {len(content)} {hashlib.sha256(content).hexdigest()}\n".encode())
    pointer = {"folder_sha256": lines.hexdigest(), "format": 0, "sequence": number}
    text = json.dumps(pointer, sort_keys=True, separators=(",", ":"))
    own(bench, "current").write_text(text)


def receipt(bench, _start):
    """A receipt that is gone: the chain has a gap."""
    numbers = sorted(int(n) for n in os.listdir(own(bench, "states")))
    holds = [n for n in numbers if own(bench, "states", str(n), "receipt.spr").exists()]
    own(bench, "states", str(holds[0]), "receipt.spr").unlink()


def key(bench, _start):
    """A key that does not count, beside the one that does."""
    own(bench, "key.later").touch()


def journal(bench, _start):
    """A journal that nobody can read."""
    own(bench, "journal").write_text("damaged")


def draft(bench, _start):
    """A draft where recovery does not look."""
    own(bench, "installed", ".x.0123.tmp").touch()


def started(bench, _start):
    """The product was started on a mixed tree, before."""
    bench.product_log.write_text("mixed lib/core.jar\n")


def current(bench, _start):
    """Nothing that says which state counts."""
    own(bench, "current").unlink()


# What is spoiled, and a word of what the oracle must say of it.
SPOILT = (
    (mixed, "is not as in"),
    (mode, "is not as in"),
    (gone, "is not as in"),
    (sequence, "must not stand"),
    (challenge, "its challenge says otherwise"),
    (floor, "fell from"),
    (time_floor, "the time floor fell"),
    (receipt, "history --check"),
    (key, "left over: .lockstep/key.later"),
    (journal, "recover does not go through"),
    (draft, "left over"),
    (started, "the product was started on mixed"),
    (current, "recover does not go through"),
)


def spoilt(bench, start, number):
    """The oracle on a root that was spoiled by hand."""
    spoil, _ = SPOILT[number]
    with Mounted(bench, start):
        spoil(bench, start)
        return Point(f"spoilt: {spoil.__name__}", True, judge(bench, start))


def liar(bench, start, number):
    """The oracle on a command that said what was not so."""
    said = (
        Ran(0, "", ""),
        Ran(-9, "applied: environment\n", ""),
        Ran(101, "", "thread 'main' panicked at"),
        Ran(-6, "", ""),
        Ran(40, "", ""),
    )[number]
    with Mounted(bench, start):
        ran = said
        if said.code == 40:
            ok(words(bench, start.command))
        return Point(f"said: {said.code} {said.out.strip()}", True, judge(bench, start, ran))


LIES = range(5)


def faulty(start, fault):
    """The same start with a fault built into the program."""
    return replace(start, faulty=fault)
