"""The figures that were wanted, what was measured, and whether it was reached."""

from figures import RUN, ratio, table
from plot import number

PACKS = {"closure": 0.05, "pyspark": 0.11, "pyarrow": 1.06}
WHOLE = {"closure": 0.08, "pyspark": 0.15}
JARS = ("closure", "pyspark")
INTRO = """## Wanted and reached

A ratio below 1 is less time, or fewer bytes, than the other program takes. All of Lockstep's are at the default effort. The best peer is
the one with the smallest patch.

"""


def judged(what, limit, measured, shown):
    """A row; `measured` is what is compared with the limit."""
    return [what, f"{limit:g} or less", shown, "yes" if measured <= limit else "**no**"]


def size_rows(figures):
    for key, limits, what in (("packs", PACKS, "packs"), ("bytes", WHOLE, "whole patch file")):
        for pair, limit in limits.items():
            if pair in figures.pairs and (peer := figures.best_peer(pair)):
                value = figures.ours(pair)[key] / peer["bytes"]
                yield judged(f"{pair}: {what} against the best peer's whole patch", limit, value, f"{ratio(value)} ({peer['name']})")


def delta_rows(figures):
    for pair in JARS:
        if pair in figures.pairs and (peer := figures.hdiffpatch(pair)):
            value = figures.seconds(figures.ours(pair), "create") / figures.seconds(peer, "create")
            yield judged(f"{pair}: create, the whole of `prepare`, against HDiffPatch at its smallest", 2, value, f"{ratio(value)} ({peer['name']})")
    if "pyspark" in figures.pairs:
        values = sorted(figures.ours("pyspark")["staging"])
        value = values[len(values) // 2]
        yield judged("pyspark: staging, seconds on two cores", 3, value, number(value))
    for pair in figures.pairs:
        ours = figures.ours(pair)
        value = figures.seconds(ours, "create_again") / figures.seconds(ours, "create")
        yield judged(f"{pair}: `prepare` for a second environment against the first", 0.1, value, ratio(value))


def other_rows(figures):
    peaks = figures.apply_peaks()
    if peaks:
        what, value = max(peaks.items(), key=lambda one: one[1])
        yield judged("peak memory of `apply`, MB, the most of the releases and the large files", 256, value, f"{value:.0f} ({what})")
    if "snapshot" in figures.found:
        rows = {row["name"]: figures.seconds(row, RUN) for row in figures.found["snapshot"]["rows"]}
        if "b3sum" in rows:
            value = rows["lockstep snapshot"] / rows["b3sum"]
            yield judged("`snapshot` against b3sum", 1.2, value, ratio(value))
    if "growth" in figures.found:
        files, value = figures.grown_peak()
        yield judged(f"peak memory of `apply`, MB, at {files:,} small files", 256, value, f"{value:.0f}")
        flat = figures.flatness()
        name = max(flat, key=flat.get)
        yield judged(f"time for a file from {figures.flat_from():,} files on, the worst command", 1.5, flat[name], f"{ratio(flat[name])} ({name})")


def part(figures):
    rows = [*size_rows(figures), *delta_rows(figures), *other_rows(figures)]
    return INTRO + table(["what", "wanted", "measured", "reached"], rows) if rows else ""


def headline(figures):
    """A line for the README."""
    said = []
    for pair in figures.pairs:
        if peer := figures.best_peer(pair):
            ours = figures.ours(pair)
            said.append(f"{pair} {ours['bytes'] / 1e6:.2f} MB ({peer['name']}: {peer['bytes'] / 1e6:.2f} MB)")
    rest = [f"{row[0]}: {row[2]}" for row in other_rows(figures)]
    return "for the README: patches of " + ", ".join(said) + "; " + "; ".join(rest)
