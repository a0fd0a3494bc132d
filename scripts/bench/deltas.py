"""Size, create and apply of patches, beside the programs that make deltas.

For Lockstep, a first environment's `prepare` begins with an empty cache: it reads the repository,
checks signatures, makes every delta, decodes it again and signs. A second environment's `prepare`
follows, with the deltas that the first one left. `apply` is the whole command, and `staging` what it
says of itself: making every new file beside the tree, while the product runs. A rollback brings the
old files back before the next turn.
"""

import filecmp
import shutil
import tarfile

from pairs import Pair, digests
from peers import WHOLE, peers, version
from stopwatch import Row, take_turns
from world import World

EFFORTS = ("default", "fast", "best")


class Ours:
    """Lockstep on a pair, at one effort."""

    def __init__(self, world, pair, effort):
        self.world, self.pair, self.effort = world, pair, effort
        self.row = Row("Lockstep" if effort == "default" else f"Lockstep, {effort}", effort=effort)
        self.more = () if effort == "default" else ("--effort", effort)

    def turn(self):
        world, name, (_, new) = self.world, self.pair.name, self.pair.versions
        recipe = f"{name}/1.0/{name}-{new}"
        world.forget_cache()
        patch, took, said = world.prepare("FIRST", recipe, *self.more)
        self.row.add("create", took)
        self.row.facts |= sizes(patch) | {"contents": said["contents"]}
        again, took, _ = world.prepare("SECOND", recipe, *self.more)
        self.row.add("create_again", took)
        world.without(again)
        took, said = world.apply("FIRST", patch)
        self.row.add("apply", took)
        self.row.note("staging", said["staging_ms"] / 1000)
        if digests(world.at / "root-FIRST") != digests(self.pair.new):
            raise SystemExit(f"{name}, {self.row.name}: the installed tree is not the new release")
        world.without(patch)
        world.roll_back("FIRST")


def sizes(patch):
    with tarfile.open(patch) as members:
        packs = sum(member.size for member in members if member.name.startswith("packs/"))
    return {"bytes": patch.stat().st_size, "packs": packs}


class Theirs:
    """A peer on a pair."""

    def __init__(self, peer, at, watch):
        self.peer, self.at, self.watch = peer, at, watch
        self.row = Row(peer.name, commands={"create": peer.create, "apply": peer.apply})

    def turn(self):
        patches, made = self.at / "patches", self.at / "made"
        patches.mkdir()
        self.row.add("create", self.run(f"{self.peer.create}; {WHOLE}", patches, made))
        self.row.facts["bytes"] = sum(path.stat().st_size for path in patches.iterdir())
        if self.peer.name.startswith("rsync"):
            shutil.copytree(self.at / "old", made)
        else:
            made.mkdir()
        self.row.add("apply", self.run(self.peer.apply, patches, made))
        for path in sorted((self.at / "new").iterdir()):
            if not filecmp.cmp(path, made / path.name, shallow=False):
                raise SystemExit(f"{self.peer.name}: {path.name} was not made as it should be")
        shutil.rmtree(patches)
        shutil.rmtree(made)

    def run(self, script, patches, made):
        shell = ["sh", "-c", f'set -e; p="$0" o="$1"; {script}', patches, made]
        return self.watch.run(shell, cwd=self.at)[0]


def lay_out(pair, at):
    """The changed files of both releases, numbered, and the new ones that have no base."""
    for folder in ("old", "new", "whole"):
        (at / folder).mkdir(parents=True)
    for number, (old, new) in enumerate(pair.against):
        shutil.copy(old, at / f"old/{number:04}")
        shutil.copy(new, at / f"new/{number:04}")
    for number, path in enumerate(pair.whole):
        shutil.copy(path, at / f"whole/{number:04}")


def found(pair, at, watch, program):
    """A vendor with both releases, and two environments that have the old one."""
    world = World(at, watch, program)
    old, new = pair.versions
    for version, files in ((old, pair.old), (new, pair.new)):
        world.publish(f"{pair.name}/1.0/{pair.name}-{version}", files)
    for environment in ("FIRST", "SECOND"):
        world.environment(environment)
        patch, _, _ = world.prepare(environment, f"{pair.name}/1.0/{pair.name}-{old}")
        world.apply(environment, patch)
        world.without(patch)
    return world


def measure(stage):
    efforts = EFFORTS if stage.has_effort() else EFFORTS[:1]
    known = peers(stage.python)
    documents = []
    for words in stage.pairs():
        pair = Pair(*words)
        at = stage.work / "deltas" / pair.name
        lay_out(pair, at / "peers")
        world = found(pair, at / "world", stage.watch, stage.program)
        turns = [Ours(world, pair, effort) for effort in efforts]
        turns += [Theirs(peer, at / "peers", stage.watch) for peer in known]
        take_turns(stage.runs, [turn.turn for turn in turns])
        documents.append(pair.facts() | {"rows": [turn.row.document() for turn in turns]})
        shutil.rmtree(at)
    versions = {peer.name: version(peer) for peer in known}
    return {"runs": stage.runs, "versions": versions, "whole": WHOLE, "pairs": documents}
