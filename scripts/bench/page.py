"""Makes docs/benchmarks.md and its plots from the numbers in docs/benchmarks/results, and nothing else.

usage: page.py DOCS [--check]

With --check nothing is written: it ends with 1 where the page or a plot is not what the numbers say.
"""

import json
import sys
from pathlib import Path

import plot
import wanted
from figures import Figures, cell, middle, ratio, span, table

SECTIONS = ("deltas", "snapshot", "verify", "apply", "growth")

HOW = """# Benchmarks

Lockstep beside the programs that people know, all in one run on one machine. `scripts/bench.sh` measures, and writes this page and its
plots from the numbers in [benchmarks/results](benchmarks/results); it takes {took}, and wants an idle machine.

- Whole commands, as a person would start them: wall seconds, and the peak of resident memory as `wait4` tells it (of a command that
  starts others, that of the largest one). CPU seconds stand beside, because Lockstep uses all cores and most of the others use one.
- The programs take turns, round by round, and each round begins with another one, so that what disturbs the machine disturbs all of
  them. Tables have the median of {runs} runs and, in brackets, the least and the most.
- Everything that is read was read or written just before, so reading is from memory; what a run made is removed before the next one
  (of growth, at the end), and a `sync` stands before each run. What deltas and patches made is compared byte for byte with the new release each time.
- MB are 10^6 bytes for sizes, 2^20 for memory.
"""

DELTAS = """## Deltas

Three pairs of public releases: **closure** (google-closure-compiler-java {closure}, npm: one jar), **pyspark** ({pyspark}, PyPI: 250 jars,
many renamed with their version) and **pyarrow** ({pyarrow}, PyPI: native libraries).

![size](benchmarks/size.svg)

![create](benchmarks/create.svg)

![apply](benchmarks/apply.svg)

![peak memory of apply](benchmarks/memory.svg)

The others get a person's best help: a file that was renamed is held against its former self, which Lockstep finds by itself, and new
files are compressed whole with `zstd -19`. They sign nothing, check nothing and are handed unpacked folders; of Lockstep the whole
commands are measured:

- **create** is `prepare` with an empty cache: the vendor's metadata is verified, contents are read out of the compressed repository and
  checked, every delta is made and decoded again, the patch is signed, written and verified as the host will. **Again** is the same for a
  second environment, with the deltas from the cache; what it takes less is the work on deltas.
- **size** is the whole patch file; **packs** is what of it is content.
- **apply** is the whole command from the signatures to the commit. **Staging** is the part that decodes, while the product still runs.

{pairs}
The commands of the others (`$p` is the folder of the patches, `$o` that of the files made from them):

```
{commands}
```

HDiffPatch is its Python binding: one process for all files, the strongest preset of each of two codecs with the threads that the preset
has, without reading its patch back, with the match cache that makes it faster and changes no byte. It always matches in memory with a
suffix array, as HDiffPatch's own command line does for the smallest patches (`-m`); that command's score of a match, its folder mode and
its `-block` are not in the binding. `zstd -T2` made the same patches in the same time as one thread.
"""

LARGE = """## Snapshot, verify, apply

{files:,} files of 4 KiB to 64 MiB, {gb:.1f} GB, half of it words and half of it what does not compress.

![snapshot, verify, apply](benchmarks/speed.svg)

"""
HASHES = """`snapshot` and `b3sum` use BLAKE3. `verify` and `sha256sum` use SHA-256; Debian's `sha256sum` does without the processor's instructions for it,
Lockstep uses them. `verify` checks signatures, the vendor's chain, and every member of the file against the signed statement.

"""

GROWTH = """## Growth

Small files of 200 to 4,000 bytes in {parts} components, published into an empty repository, prepared on an empty desk and
installed from nothing; {runs}, microseconds of each command for a file.

![time per file](benchmarks/growth.svg)

{times}
![peak memory](benchmarks/growth-memory.svg)

{peaks}
`publish` is the sum of several commands, {parts} components and a release. The last column of the first table is the most that a file
takes at any greater number of files, against what it takes at that number. Nothing is removed before all is measured: ext4 passes over
inodes that were freed in the last minutes, and a million files that followed the removal of a million took 259 seconds to apply. How long a product stands still for an exchange of up to
100,000 files is measured by `scripts/downtime.sh`.

Memory grows with the number of files: at {most:,}, `apply` of a patch that brings all of them holds {apply_bytes:.0f} bytes for each (recipe and
tree, how its content is obtained, its move and what it is told by), and `snapshot` {snapshot_bytes:.0f} (recipe, tree, and what was seen). So 256 MB are enough for a
patch of some {fits:,} files, whatever their size. A third less than before was reached by lists in place of maps, and by giving up
what was planned once it is; what is left is the recipes, of which a host needs the digests of every file.
"""


def wheres(found):
    """The machine and the versions; a section of another day or program stands in a row of its own."""
    rows, first = [], next(iter(found.values()))["where"]
    names = {
        "cpu": "processor", "cores": "cores", "memory_gb": "memory, GB", "kernel": "kernel",
        "file_system": "file system", "lockstep": "program", "commit": "commit", "date": "date",
        "seed": "seed of the generated trees", "coreutils": "coreutils (cp, sha256sum, sync)",
        "b3sum": "b3sum", "python": "python",
    }
    for key, name in names.items():
        said = {}
        for section, document in found.items():
            said.setdefault(str(document["where"][key]), []).append(section)
        if key == "b3sum":
            said.pop("not there", None)
        one = len(said) < 2
        rows.append([name, first[key] if one and key != "b3sum" else "; ".join(said) if one else "; ".join(f"{v} ({', '.join(s)})" for v, s in said.items())])
    for name, version in found.get("deltas", {}).get("versions", {}).items():
        rows.append([name, version])
    return "## Machine and versions\n\n" + table(["what", "which"], rows)


def pair_table(pair):
    rows = []
    for row in pair["rows"]:
        packs = f"{row['packs'] / 1e6:.3f}" if "packs" in row else ""
        rows.append([
            row["name"], f"{row['bytes'] / 1e6:.3f}", packs, span(row["create"]["seconds"]),
            f"{middle(row['create']['cpu']):.2f}", f"{max(row['create']['peak_mb']):.0f}",
            span(row["create_again"]["seconds"]) if "create_again" in row else "",
            span(row["apply"]["seconds"]), span(row["staging"]) if "staging" in row else "",
            f"{max(row['apply']['peak_mb']):.0f}",
        ])
    counted = (
        f"{pair['old']} to {pair['new']}: {pair['files']} files, {pair['bytes'] / 1e6:.1f} MB; "
        f"{pair['changed']} changed, {pair['renamed']} changed and renamed, {pair['whole']} without a base."
    )
    heads = ["", "size, MB", "packs, MB", "create, s", "CPU s", "peak MB", "again, s", "apply, s", "staging, s", "peak MB"]
    return f"### {pair['name']}\n\n{counted}\n\n{table(heads, rows)}"


def commands(document):
    """The command lines of the peers, as they ran."""
    rows = [row for row in document["pairs"][0]["rows"] if "commands" in row]
    steps = [(row["name"], step, command) for row in rows for step, command in row["commands"].items()]
    told = [f"# {name}: {step}\n{command}" for name, step, command in steps]
    return "\n".join([*told, f"# files without a base, after each create\n{document['whole']}"])


def delta_plots(pairs):
    heads = [pair["name"] for pair in pairs]
    names = [row["name"] for row in pairs[0]["rows"]]
    by_name = [{row["name"]: row for row in pair["rows"]} for pair in pairs]

    def rows(value):
        return [[value(pair[name]) if name in pair else None for pair in by_name] for name in names]

    def size(row, key="bytes"):
        value = row[key] / 1e6
        return value, value, value, "packs" in row

    def timed(step):
        return lambda row: cell(row[step]["seconds"], "packs" in row)

    packs = [[size(pair["Lockstep"], "packs") for pair in by_name]]
    again = [[cell(pair["Lockstep"]["create_again"]["seconds"], True) for pair in by_name]]
    few = "median, with the least and the most; shorter is better"
    return {
        "size.svg": plot.columns("Size of a patch, MB", "sum over all changed files; shorter is better", ["Lockstep, packs alone", *names], heads, packs + rows(size)),
        "create.svg": plot.columns("Making a patch, seconds", few, ["Lockstep, from the cache", *names], heads, again + rows(timed("create"))),
        "apply.svg": plot.columns("Applying a patch, seconds", f"whole commands: {few}", names, heads, rows(timed("apply"))),
        "memory.svg": plot.columns("Peak memory of applying a patch, MB", "the largest process; shorter is better", names, heads, rows(lambda row: cell([max(row["apply"]["peak_mb"])], "packs" in row))),
    }


def large_part(found):
    there = {name: found[name] for name in ("snapshot", "verify", "apply") if name in found}
    if not there:
        return "", {}
    one, blocks = next(iter(there.values())), []
    page = LARGE.format(files=one["files"], gb=one["bytes"] / 1e9)
    for name, document in there.items():
        base, rows = document["rows"][0], []
        for row in document["rows"]:
            run = row["run"]
            rows.append([f"`{row['name']}`", span(run["seconds"]), f"{middle(run['cpu']):.2f}", f"{max(run['peak_mb']):.0f}", ratio(middle(base["run"]["seconds"]) / middle(run["seconds"]))])
        note = f" of a patch of {document['patch_bytes'] / 1e9:.2f} GB" if "patch_bytes" in document else ""
        page += f"### {name.capitalize()}{note}\n\n" + table(["", "seconds", "CPU s", "peak MB", "Lockstep against it"], rows) + "\n"
        blocks.append((name + note, [(row["name"], cell(row["run"]["seconds"], n == 0)) for n, row in enumerate(document["rows"])]))
    page += HASHES
    if "apply" in there:
        staged = span(there["apply"]["rows"][0]["staging"])
        page += f"Of apply, {staged} s are staging, while the product runs. `cp` copies what is in memory already; apply reads the patch,\ndecompresses, checks both digests of every file and makes each durable.\n\n"
    note = f"{one['bytes'] / 1e9:.1f} GB; median, with the least and the most; shorter is better"
    return page, {"speed.svg": plot.panels("Snapshot, verify and apply, seconds", note, blocks)}


def growth_part(figures):
    document = figures.found["growth"]
    sizes = document["sizes"]
    heads = ["command", *(f"{size['files']:,}" for size in sizes)]
    flat = figures.flatness()
    times, peaks, lines, memory = [], [], [], []
    for n, row in enumerate(sizes[0]["rows"]):
        at = [(size["files"], size["rows"][n]["run"]) for size in sizes]
        per_file = [(files, middle(run["seconds"]) * 1e6 / files) for files, run in at]
        most = [(files, max(run["peak_mb"])) for files, run in at]
        spans = [span([s * 1e6 / files for s in run["seconds"]], 1) for files, run in at]
        times.append([row["name"], *spans, ratio(flat[row["name"]])])
        peaks.append([row["name"], *(f"{peak:.0f}" for _, peak in most)])
        lines.append((row["name"], per_file))
        memory.append((row["name"], most))
    heads_flat = [*heads, f"from {figures.flat_from():,} on"]
    last = {name: most[-1] for name, most in memory}
    held = {name: peak * 2**20 / files for name, (files, peak) in last.items()}
    runs = document["runs"]
    page = GROWTH.format(
        runs="one run" if runs == 1 else f"the median of {runs} runs",
        parts=document["parts"], most=sizes[-1]["files"],
        apply_bytes=held["apply"], snapshot_bytes=held["snapshot"],
        fits=int(round(256 * 2**20 / held["apply"], -4)),
        times=table(heads_flat, times), peaks="Peak memory, MB:\n\n" + table(heads, peaks),
    )
    plots = {
        "growth.svg": plot.lines("Time for a file, microseconds", "median of whole commands; a line that does not rise is as good as it gets", lines),
        "growth-memory.svg": plot.lines("Peak memory, MB", "the most of all runs", memory),
    }
    return page, plots


def duration(found):
    parts = [f"{name} {document['took_seconds'] / 60:.0f} min" for name, document in found.items()]
    return f"{sum(d['took_seconds'] for d in found.values()) / 60:.0f} minutes ({', '.join(parts)})"


def make(found):
    """The page, and the plots by their names."""
    figures, plots = Figures(found), {}
    runs = sorted({document["runs"] for document in found.values()})
    page = [HOW.format(took=duration(found), runs=" or ".join(map(str, runs)))]
    if any(document["sample"] for document in found.values()):
        page.append("**This is a sample: it shows that the script runs, and says nothing of speed.**\n")
    page.append(wanted.part(figures))
    page.append(wheres(found))
    if "deltas" in found:
        pairs = found["deltas"]["pairs"]
        versions = {name: "not measured" for name in ("closure", "pyspark", "pyarrow")}
        versions |= {pair["name"]: f"{pair['old']} to {pair['new']}" for pair in pairs}
        page.append(DELTAS.format(pairs="\n".join(map(pair_table, pairs)), commands=commands(found["deltas"]), **versions))
        plots |= delta_plots(pairs)
    text, more = large_part(found)
    page.append(text)
    plots |= more
    if "growth" in found:
        text, more = growth_part(figures)
        page.append(text)
        plots |= more
    return "\n".join(part for part in page if part).rstrip() + "\n", plots


def main():
    docs, check = Path(sys.argv[1]), "--check" in sys.argv
    results = docs / "benchmarks/results"
    found = {name: json.loads((results / f"{name}.json").read_text()) for name in SECTIONS if (results / f"{name}.json").exists()}
    if not found:
        sys.exit(f"no numbers in {results}: run scripts/bench.sh with a section")
    page, plots = make(found)
    files = {docs / "benchmarks.md": page} | {docs / "benchmarks" / name: svg for name, svg in plots.items()}
    if check:
        other = [str(path) for path, content in files.items() if not path.exists() or path.read_text() != content]
        sys.exit(f"not what the numbers say: {', '.join(other)}; run scripts/bench.sh page" if other else 0)
    for path, content in files.items():
        path.write_text(content)
    print(wanted.headline(Figures(found)))


if __name__ == "__main__":
    main()
