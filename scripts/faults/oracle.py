"""The oracle: what must hold once recovery has run, whatever happened before.

It reads the disk itself, and asks the program only to recover, to check its receipts, and to go on.
"""

import stand
from bench import product as ask_product
from bench import run
from world import words


ROLLED_BACK = 40


def judge(bench, start, ran=None, must_be=None):
    """Which state stands after a fault, and everything that is wrong; nothing where all is well.

    The root is mounted. `ran` is how the disturbed command ended, if it did; `must_be` says which
    state must stand, where that is known.
    """
    wrong = []
    recover = [bench.program, "recover", "--root", bench.root]
    manage(bench, wrong)
    again = run(recover)
    if again.code != 0:
        return "none", [*wrong, f"recover does not go through: {again.words()}"]
    try:
        here = stand.read(bench.root)
    except (OSError, ValueError, KeyError) as error:
        return "none", [*wrong, f"the state cannot be read: {error!r}"]
    which = outcome(start, here)
    # Whatever else may stand: a product that did not start is told of with an exit code of its own.
    undone = which == "undone" and ran is not None and ran.code == ROLLED_BACK
    if which not in start.outcomes and not undone:
        wrong.append(f"sequence {here.sequence}: {which} must not stand here")
    if must_be and which != must_be:
        wrong.append(f"the {which} state stands, where only the {must_be} one may")
    if which != "another":
        wrong += compare(start, here, which)
    wrong += said(ran, which, start)
    wrong += [f"left over: {path}" for path in stand.leftovers(bench.root)]
    wrong += second_recovery(bench, recover)
    wrong += product(bench)
    if not wrong:
        wrong += go_on(bench, start, which)
    return which, wrong


def manage(bench, wrong):
    """A person where the product still runs, and the service manager where it does not: recovery first,
    then the product."""
    # What a command asked of the product before it was killed is done first.
    if ask_product(bench, "running") == 0:
        first = run([bench.program, "recover", "--root", bench.root])
        if first.code != 0:
            wrong.append(f"recover, with the product running: {first.words()}")
            return
    if ask_product(bench, "running") != 0:
        first = run([bench.program, "recover", "--before-start", "--root", bench.root])
        if first.code != 0:
            wrong.append(f"recover --before-start: {first.words()}")
            return
        ask_product(bench, "start")


def outcome(start, here):
    """Which state stands, by its number, and by its digest: `undone` is a change that the product did
    not start on, with the old files and a number and receipt of its own."""
    if here.sequence == start.old.sequence:
        return "old"
    if here.sequence not in (start.old.sequence + 1, start.new.sequence):
        return "another"
    digests = [stands.state["state"] for stands in (start.old, start.new)]
    if digests[0] != digests[1] and here.state["state"] == digests[0]:
        return "undone"
    return "new"


def compare(start, here, which):
    """Tree, challenges and floors against the state that stands."""
    wrong = []
    then = start.new if which == "new" else start.old
    for path in sorted({*here.tree, *then.tree}):
        if here.tree.get(path) != then.tree.get(path):
            wrong.append(
                f"{path} is not as in the {which} state: "
                f"{here.tree.get(path)}, not {then.tree.get(path)}"
            )
    if which == "old" and here.state != start.old.state:
        wrong.append("the old state has the old number and another content")
    if start.answered and (start.answered in here.challenges) != (which != "new"):
        wrong.append(f"the {which} state stands, and its challenge says otherwise")
    if which == "new" and len(here.challenges) != len(start.new.challenges):
        wrong.append(f"{len(here.challenges)} challenge(s) are open")
    for role, floor in start.old.floors.items():
        if here.floors.get(role, 0) < floor:
            wrong.append(f"the floor of {role} fell from {floor} to {here.floors.get(role)}")
    if here.floors != then.floors:
        wrong.append("the floors are not those of the state that stands")
    if here.state["time_floor"] < start.old.state["time_floor"]:
        wrong.append("the time floor fell")
    return wrong


def said(ran, which, start):
    """What was printed and the exit code, against what stands."""
    if ran is None:
        return []
    wrong = []
    recovery = start.command[0] == "recover"
    if "panicked" in ran.err or "panicked" in ran.out:
        wrong.append(f"it panicked: {ran.words()}")
    if not recovery and ran.out.strip() and which != "new":
        wrong.append(f"success was printed, and the {which} state stands: {ran.words()}")
    if ran.code < 0 and ran.code != -9:
        wrong.append(f"it ended by signal {-ran.code}: {ran.words()}")
    if ran.code >= 0 and not recovery:
        claims_new = ran.code in (0, 42)
        if claims_new != (which == "new") or (which == "undone" and ran.code != ROLLED_BACK):
            wrong.append(f"the {which} state stands after {ran.words()}")
    return wrong


def second_recovery(bench, recover):
    """Recovery once more must change nothing at all."""
    before = stand.listing(bench.root, own=True)
    ran = run(recover)
    after = stand.listing(bench.root, own=True)
    if ran.code != 0:
        return [f"a second recovery: {ran.words()}"]
    changed = sorted(p for p in {*before, *after} if before.get(p) != after.get(p))
    return [f"a second recovery changed {path}" for path in changed]


def product(bench):
    """What the product was started on, and whether it runs."""
    log = bench.product_log
    started = log.read_text().splitlines() if log.exists() else []
    wrong = [f"the product was started on {line}" for line in started if line not in ("old", "new")]
    if ask_product(bench, "running") != 0:
        wrong.append("the product does not run")
    return wrong


def go_on(bench, start, which):
    """The receipts are a chain, and work goes on from the state that stands."""
    checked = run([bench.program, "history", "--check", "--root", bench.root])
    if checked.code != 0:
        return [f"history --check: {checked.words()}"]
    if which != "new":
        (bench.out / "unwell").unlink(missing_ok=True)
        ran = run(words(bench, start.again, "again"))
        if ran.code != 0:
            return [f"it does not go through afterwards: {ran.words()}"]
        there = stand.read(bench.root)
        return [f"afterwards {fault}" for fault in compare(start, there, "new")]
    ran = run([bench.program, "snapshot", "--root", bench.root, "--output", bench.out / "s.spr"])
    return [] if ran.code == 0 else [f"no snapshot afterwards: {ran.words()}"]
