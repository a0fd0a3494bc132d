"""What each command takes for a file, from a thousand files to a million.

Components of small files (scripts/real-input/trees.py, small), published into an empty repository,
prepared on an empty desk and installed from nothing, every time anew.

Nothing is removed before all is measured: ext4 passes over inodes that were freed in the last
minutes, so that whoever makes a million files just after a million went looks slow.
"""

import shutil
import sys

from pairs import files_below
from stopwatch import Row
from world import World

COMMANDS = ("publish", "prepare", "verify", "apply --dry-run", "apply", "snapshot", "status")
RELEASE = "all/1.0/all-1.0.0"


class Size:
    """An installation of so many files."""

    def __init__(self, stage, files):
        self.stage, self.files = stage, files
        self.at = stage.work / "growth" / str(files)
        self.at.mkdir(parents=True)
        self.tree, self.parts = self.at / "tree", stage.parts
        stage.make_tree("small", self.tree, "--files", files, "--parts", self.parts)
        self.rows = {name: Row(name) for name in COMMANDS}

    def turn(self, run):
        world = World(self.at / f"world{run}", self.stage.watch, self.stage.program)
        self.rows["publish"].add("run", *self.published(world))
        root = world.environment("PROD")
        patch, took, _ = world.prepare("PROD", RELEASE)
        self.rows["prepare"].add("run", took)
        self.note("verify", world, "verify", patch, "--site", world.site)
        self.note("apply --dry-run", world, "apply", patch, "--root", root, "--dry-run")
        self.rows["apply"].add("run", world.apply("PROD", patch)[0])
        if len(files_below(root)) != self.files:
            raise SystemExit(f"not all of {self.files} files were installed")
        self.note("snapshot", world, "snapshot", "--root", root, "--output", world.at / "again.spr")
        self.note("status", world, "status", "--root", root, "--check")

    def published(self, world):
        """What publishing every part, and the release that names them, took."""
        parts = [f"part{n}" for n in range(self.parts)]
        took = [world.publish(f"{part}/1.0/{part}-1.0.0", self.tree / part) for part in parts]
        return [*took, world.release(RELEASE, [f"{part}=1.0.0" for part in parts])]

    def note(self, name, world, *words):
        self.rows[name].add("run", world.lockstep(*words)[0])

    def document(self):
        return {"files": self.files, "rows": [row.document() for row in self.rows.values()]}


def measure(stage):
    sizes = [Size(stage, files) for files in stage.counts]
    for size in sizes:
        for run in range(stage.growth_runs):
            print(f"{size.files:,} files", file=sys.stderr)
            size.turn(run)
    shutil.rmtree(stage.work / "growth")
    return {"runs": stage.growth_runs, "parts": stage.parts, "sizes": [size.document() for size in sizes]}
