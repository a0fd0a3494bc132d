"""What is asked of the numbers of all sections: medians, ratios, and how they are written."""

from plot import number
from stopwatch import middle

RUN = "run"


def span(values, digits=None):
    """The median, and in brackets the least and the most."""
    write = number if digits is None else lambda value: f"{value:,.{digits}f}"
    if len(values) == 1:
        return write(values[0])
    return f"{write(middle(values))} ({write(min(values))} to {write(max(values))})"


def cell(values, ours):
    """A bar of a plot."""
    return middle(values), min(values), max(values), ours


def ratio(value):
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def table(heads, rows):
    """In Markdown; all columns but the first are numbers or short."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


class Figures:
    """The sections that were measured, by name."""

    def __init__(self, found):
        self.found = found
        self.pairs = {pair["name"]: pair for pair in found.get("deltas", {}).get("pairs", [])}

    def ours(self, pair):
        return next(row for row in self.pairs[pair]["rows"] if row["name"] == "Lockstep")

    def best_peer(self, pair):
        """The peer with the smallest patch."""
        peers = [row for row in self.pairs[pair]["rows"] if "packs" not in row]
        return min(peers, key=lambda row: row["bytes"], default=None)

    def hdiffpatch(self, pair):
        """HDiffPatch with the codec that makes the smallest patch."""
        rows = [row for row in self.pairs[pair]["rows"] if row["name"].startswith("HDiffPatch")]
        return min(rows, key=lambda row: row["bytes"], default=None)

    def seconds(self, row, step):
        return middle(row[step]["seconds"])

    def flat_from(self):
        """The number of files from which on the time for a file should stay as it is."""
        counts = [size["files"] for size in self.found["growth"]["sizes"]]
        return 10_000 if 10_000 in counts[:-1] else counts[0]

    def flatness(self):
        """By command: the most that a file takes at a greater number of files, against that number."""
        each = {
            size["files"]: {row["name"]: self.seconds(row, RUN) / size["files"] for row in size["rows"]}
            for size in self.found["growth"]["sizes"]
        }
        start = self.flat_from()
        later = [took for files, took in each.items() if files > start] or [each[start]]
        return {name: max(took[name] for took in later) / first for name, first in each[start].items()}

    def apply_peaks(self):
        """Peak memory of every apply of a real release or of large files, by what it was of."""
        peaks = {
            name: max(max(row["apply"]["peak_mb"]) for row in pair["rows"] if "packs" in row)
            for name, pair in self.pairs.items()
        }
        if "apply" in self.found:
            gb = self.found["apply"]["bytes"] / 1e9
            peaks[f"{gb:.1f} GB whole"] = max(self.found["apply"]["rows"][0][RUN]["peak_mb"])
        return peaks

    def grown_peak(self):
        """How many small files the largest tree had, and the peak memory of its apply."""
        size = self.found["growth"]["sizes"][-1]
        row = next(row for row in size["rows"] if row["name"] == "apply")
        return size["files"], max(row[RUN]["peak_mb"])
