"""Three commands on a tree of a few GB, each beside what a person would hold it against.

The tree has files of 4 KiB to 64 MiB, half of words and half of what does not compress
(scripts/real-input/trees.py, mixed), and is installed from one patch with every content whole.
"""

import shutil

from pairs import digests, files_below
from stopwatch import Row, take_turns
from world import World

RECIPE = "big/1.0/big-1.0.0"


class Large:
    """A vendor that has published the tree, and the tree."""

    def __init__(self, stage):
        self.stage, self.watch = stage, stage.watch
        self.at = stage.work / "large"
        self.tree = self.at / "tree"
        self.at.mkdir()
        stage.make_tree("mixed", self.tree, "--megabytes", stage.megabytes)
        self.world = World(self.at / "world", self.watch, stage.program)
        self.world.publish(RECIPE, self.tree)
        below = files_below(self.tree)
        self.facts = {"files": len(below), "bytes": sum(p.stat().st_size for p in below.values())}

    def installed(self, name):
        root = self.world.environment(name)
        patch, _, _ = self.world.prepare(name, RECIPE)
        return root, patch

    def hashed(self, row, root):
        """A program that hashes files, on every file of a tree."""
        listed = self.at / "files"
        listed.write_bytes(b"".join(str(path).encode() + b"\0" for path in files_below(root).values()))
        return lambda: row.add("run", self.watch.run(["xargs", "-0", "-a", listed, row.name])[0])

    def document(self, rows, **more):
        return {"runs": self.stage.runs, **self.facts, **more, "rows": [row.document() for row in rows]}


def snapshot(stage, large):
    root, patch = large.installed("SNAPSHOT")
    large.world.apply("SNAPSHOT", patch)
    large.world.without(patch)
    out = large.at / "again.snapshot.spr"

    def ours():
        rows[0].add("run", large.world.lockstep("snapshot", "--root", root, "--output", out)[0])
        out.unlink()

    rows = [Row("lockstep snapshot"), *(Row(name) for name in stage.hashers("b3sum", "sha256sum"))]
    take_turns(stage.runs, [ours, *(large.hashed(row, root) for row in rows[1:])])
    shutil.rmtree(root)
    return large.document(rows)


def verify(stage, large):
    root, patch = large.installed("VERIFY")
    rows = [Row("lockstep verify"), *(Row(name) for name in stage.hashers("sha256sum"))]
    steps = [
        lambda: rows[0].add("run", large.world.lockstep("verify", patch, "--site", large.world.site)[0]),
        *(lambda row=row: row.add("run", large.watch.run([row.name, patch])[0]) for row in rows[1:]),
    ]
    take_turns(stage.runs, steps)
    size = patch.stat().st_size
    large.world.without(patch)
    shutil.rmtree(root)
    return large.document(rows, patch_bytes=size)


def apply(stage, large):
    rows = [Row("lockstep apply"), Row("cp -r; sync")]
    copy = large.at / "copy"
    wanted = digests(large.tree)
    turns = iter(range(stage.runs))

    def ours():
        name = f"APPLY{next(turns)}"
        root, patch = large.installed(name)
        took, said = large.world.apply(name, patch)
        rows[0].add("run", took)
        rows[0].note("staging", said["staging_ms"] / 1000)
        if digests(root) != wanted:
            raise SystemExit("what was installed differs from what was published")
        large.world.without(patch)
        shutil.rmtree(root)

    def theirs():
        rows[1].add("run", large.watch.run(["sh", "-c", 'cp -r "$0" "$1" && sync', large.tree, copy])[0])
        shutil.rmtree(copy)

    take_turns(stage.runs, [ours, theirs])
    return large.document(rows)
