"""Plots as SVG, from numbers alone: bars that lie, and lines on two logarithmic axes.

Each plot stands on a card of its own and brings colours for a light and a dark page, so that it can
be read wherever it is shown.
"""

import math
from xml.sax.saxutils import escape

STYLE = """<style>
text { font: 12px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 } .head { font-weight: 600 } .dim { fill: #59636e }
.card { fill: #ffffff; stroke: #d0d7de } .grid { stroke: #e4e8ec } .axis { stroke: #8c959f }
.ours { fill: #0b62d6 } .theirs { fill: #a3adb8 } .spread { stroke: #24292f }
.l0 { stroke: #0b62d6 } .l1 { stroke: #bf4b00 } .l2 { stroke: #1a7f37 } .l3 { stroke: #8250df }
.l4 { stroke: #b3261e } .l5 { stroke: #0a7d8c } .l6 { stroke: #7d6608 } .line { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .dim { fill: #9da7b1 } .card { fill: #151b23; stroke: #3d444d }
.grid { stroke: #2b323a } .axis { stroke: #6e7681 } .spread { stroke: #e6edf3 }
.ours { fill: #5aa2ff } .theirs { fill: #6b7683 }
.l0 { stroke: #5aa2ff } .l1 { stroke: #ff9a4d } .l2 { stroke: #4fd06b } .l3 { stroke: #bd93ff }
.l4 { stroke: #ff7b72 } .l5 { stroke: #4fd3e0 } .l6 { stroke: #e0c04c }
}
</style>"""
ROW, LABELS = 22, 190


def number(value):
    """Three digits that count, and no more."""
    if value == 0:
        return "0"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}"


def text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def card(width, height, title, note, parts):
    frame = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
    )
    back = f'<rect class="card" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="6"/>'
    heads = [text(16, 26, title, "title"), text(16, 44, note, "dim")]
    return "\n".join([frame, STYLE, back, *heads, *parts, "</svg>"]) + "\n"


def bar(x, y, room, most, one):
    """A bar, its spread from the least to the most, and its number."""
    value, low, high, ours = one
    length = max(1.5, room * value / most)
    parts = [f'<rect class="{"ours" if ours else "theirs"}" x="{x}" y="{y + 4}" width="{length:.1f}" height="14" rx="2"/>']
    end = x + length
    if high > low:
        a, b = x + room * low / most, x + room * high / most
        parts.append(f'<path class="spread" d="M{a:.1f} {y + 11}H{b:.1f}M{a:.1f} {y + 8}v6M{b:.1f} {y + 8}v6"/>')
        end = max(end, b)
    parts.append(text(end + 5, y + 15, number(value)))
    return parts


def columns(title, note, labels, heads, cells):
    """Rows that several columns share: cells[row][column] is (value, low, high, ours) or None."""
    wide = (860 - LABELS - 16) // len(heads)
    parts, top = [], 84
    for row, label in enumerate(labels):
        parts.append(text(16, top + ROW * row + 15, label))
    for column, head in enumerate(heads):
        x = LABELS + wide * column
        parts.append(text(x, 70, head, "head"))
        parts.append(f'<path class="axis" d="M{x - 0.5} {top}v{ROW * len(labels)}"/>')
        present = [row[column] for row in cells if row[column]]
        most = max((max(one[0], one[2]) for one in present), default=1)
        for row, line in enumerate(cells):
            if line[column]:
                parts += bar(x, top + ROW * row, wide - 70, most, line[column])
    return card(860, top + ROW * len(labels) + 16, title, note, parts)


def panels(title, note, blocks):
    """Blocks below each other, each with rows and a scale of its own: (head, [(label, cell)])."""
    parts, y = [], 62
    for head, rows in blocks:
        parts.append(text(16, y + 12, head, "head"))
        y += 20
        most = max(max(cell[0], cell[2]) for _, cell in rows)
        parts.append(f'<path class="axis" d="M{LABELS - 0.5} {y}v{ROW * len(rows)}"/>')
        for label, cell in rows:
            parts.append(text(16, y + 15, label))
            parts += bar(LABELS, y, 560, most, cell)
            y += ROW
        y += 14
    return card(860, y + 4, title, note, parts)


def decades(low, high):
    return [10.0**n for n in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def spread_out(wanted, gap):
    """Heights for labels near the wanted ones, no two nearer than the gap."""
    order = sorted(range(len(wanted)), key=lambda n: wanted[n])
    at = list(wanted)
    for _ in range(200):
        for a, b in zip(order, order[1:]):
            lack = gap - (at[b] - at[a])
            if lack > 0:
                at[a] -= lack / 2
                at[b] += lack / 2
    return at


def lines(title, note, series):
    """Lines on two logarithmic axes, each with its name at its end: (name, [(x, y)])."""
    width, height, left, right, top, bottom = 860, 430, 84, 190, 62, 46
    xs = sorted({x for _, points in series for x, _ in points})
    ys = [y for _, points in series for _, y in points]
    ticks = decades(min(ys), max(ys))
    low, high = math.log10(ticks[0]), math.log10(ticks[-1])
    first, last = math.log10(xs[0]), max(math.log10(xs[-1]), math.log10(xs[0]) + 1e-9)
    right_edge, floor = width - right, height - bottom

    def place(x, y):
        across = (math.log10(x) - first) / (last - first)
        up = (math.log10(y) - low) / max(high - low, 1e-9)
        return left + across * (right_edge - left), floor - up * (floor - top)

    parts = []
    for tick in ticks:
        y = place(xs[0], tick)[1]
        parts.append(f'<path class="grid" d="M{left} {y:.1f}H{right_edge}"/>')
        parts.append(text(left - 8, y + 4, number(tick).rstrip("0").rstrip(".") if tick < 1 else f"{tick:,.0f}", "dim", "end"))
    for x in xs:
        at = place(x, ticks[0])[0]
        parts.append(f'<path class="axis" d="M{at:.1f} {floor}v5"/>')
        parts.append(text(at, floor + 20, f"{x:,}", "dim", "middle"))
    parts.append(f'<path class="axis" d="M{left} {floor}H{right_edge}"/>')
    parts.append(text((left + right_edge) / 2, height - 10, "files", "dim", "middle"))
    ends = spread_out([place(*points[-1])[1] for _, points in series], 16)
    for n, ((name, points), label_y) in enumerate(zip(series, ends)):
        dots = [place(x, y) for x, y in points]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in dots)
        parts.append(f'<path class="line l{n % 7}" d="{path}"/>')
        parts += [f'<circle class="line l{n % 7}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in dots]
        x, y = dots[-1]
        parts.append(f'<path class="l{n % 7}" d="M{x + 4:.1f} {y:.1f}L{x + 16:.1f} {label_y:.1f}"/>')
        parts.append(text(x + 20, label_y + 4, f"{name}: {number(points[-1][1])}"))
    return card(width, height, title, note, parts)
