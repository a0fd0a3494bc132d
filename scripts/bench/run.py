"""Runs the sections of scripts/bench.sh that measure, and writes what each took as JSON.

usage: run.py [--sample] SECTION...    sections: deltas snapshot verify apply growth

The results hold no path and no name of the machine. What is measured, and how, stands at the top of
each section's file.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import deltas
import growth
import large
import sample
from stopwatch import Stopwatch

HERE = Path(__file__).parent
TREES = HERE.parent / "real-input/trees.py"


class Stage:
    """What a section needs to know of this run."""

    def __init__(self, sampled):
        self.sampled = sampled
        self.work = Path(os.environ["WORK"])
        self.program = os.environ["LOCKSTEP_PROGRAM"]
        self.python = os.environ.get("HDIFF_PYTHON") or None
        self.results = Path(os.environ["RESULTS"])
        self.seed = int(os.environ.get("LOCKSTEP_SEED", "1"))
        usual = {"runs": "1", "counts": "20 40", "mb": "8"} if sampled else {
            "runs": "5", "counts": "1000 10000 100000 1000000", "mb": "3000",
        }
        self.runs = int(os.environ.get("LOCKSTEP_RUNS", usual["runs"]))
        self.growth_runs = int(os.environ.get("LOCKSTEP_GROWTH_RUNS", self.runs))
        self.counts = [int(word) for word in os.environ.get("LOCKSTEP_COUNTS", usual["counts"]).split()]
        self.megabytes = int(os.environ.get("LOCKSTEP_MEGABYTES", usual["mb"]))
        self.parts = 2 if sampled else 10
        self.watch = Stopwatch(self.work / "logs", settles=not sampled)

    def pairs(self):
        """Name, versions and unpacked folders of each pair."""
        if self.sampled:
            return sample.pairs(self.work / "sample", self.seed)
        listed = (self.work / "pairs/list").read_text().splitlines()
        return [line.split("\t") for line in listed]

    def make_tree(self, shape, folder, *more):
        words = [sys.executable, TREES, shape, folder, "--seed", self.seed, *more]
        subprocess.run([str(word) for word in words], check=True, stdout=sys.stderr)

    def has_effort(self):
        said = subprocess.run([self.program, "prepare", "--help"], capture_output=True, text=True, check=True)
        return "--effort" in said.stdout

    def hashers(self, *names):
        """Of these, what is on the machine; all of them, unless this is a sample."""
        return [name for name in names if shutil.which(name) or not self.sampled]

    @functools.cached_property
    def large(self):
        return large.Large(self)


SECTIONS = {
    "deltas": deltas.measure,
    "snapshot": lambda stage: large.snapshot(stage, stage.large),
    "verify": lambda stage: large.verify(stage, stage.large),
    "apply": lambda stage: large.apply(stage, stage.large),
    "growth": growth.measure,
}


def first_line(*words):
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    return (said.stdout or said.stderr).strip().split("\n")[0].strip()


def where(stage):
    """The machine and the versions, without a name or a path of either."""
    cpu = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    memory = next(line for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    commit = first_line("git", "-C", str(HERE), "rev-parse", "--short=10", "HEAD")
    return {
        "cpu": cpu[0] if cpu else "not known",
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory.split()[1]) / 1e6),
        "kernel": f"Linux {os.uname().release}",
        "file_system": first_line("findmnt", "-n", "-o", "FSTYPE", "-T", str(stage.work)),
        "lockstep": first_line(stage.program, "--version"),
        "commit": commit,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "seed": stage.seed,
        "coreutils": first_line("cp", "--version").split(") ")[-1],
        "b3sum": first_line("b3sum", "--version") if shutil.which("b3sum") else "not there",
        "python": sys.version.split()[0],
    }


def main():
    words = sys.argv[1:]
    stage = Stage("--sample" in words)
    stage.results.mkdir(parents=True, exist_ok=True)
    for name in [word for word in words if word != "--sample"]:
        began = time.monotonic()
        document = {"section": name, "where": where(stage), "sample": stage.sampled}
        document |= SECTIONS[name](stage)
        document["took_seconds"] = round(time.monotonic() - began)
        out = stage.results / f"{name}.json"
        out.write_text(json.dumps(document, indent=1) + "\n")
        print(f"{name}: {document['took_seconds']} s", file=sys.stderr)


if __name__ == "__main__":
    main()
