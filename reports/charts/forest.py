"""Describe a forest plot: one slope a row with its interval, and a line at the law's order.

forest([ForestRow("sphere", "best", 0.48, 0.43, 0.53), ForestRow("sphere", "plain", …)])
"""

import math
from typing import NamedTuple

from reports.charts.chart import CIRCLE, DIAMOND, DOTTED, TICK, Chart, Drawing, Line, Marks, Scale
from reports.charts.style import COLOURS, QUIET

WIDTH = 400
ROW = 34
"""Height of a row in pixels."""
KINDS = {
    "best": ("best fit found", DIAMOND, COLOURS[1]),
    "plain": ("plain training", CIRCLE, COLOURS[0]),
}
"""Kind of row → its name in the legend, its shape and its colour."""


class ForestRow(NamedTuple):
    """One row. kind: "plain" or "best". The estimate has an interval from low to high; NaN leaves
    it out. marks: slopes of single recipes, by name."""

    label: str
    kind: str
    estimate: float
    low: float
    high: float
    marks: tuple[tuple[str, float], ...] = ()


def forest(rows: list[ForestRow], law: float = 0.5) -> Chart | None:
    """Draw the rows from top to bottom; return None without rows. law: the order of the bound.

    A slope is the power of p with which a measure grows.
    """
    if not rows:
        return None
    marks = [_recipes(rows)] + [_estimates(rows, kind) for kind in KINDS]
    line = Line(
        (law, law), (-0.5, len(rows) - 0.5), QUIET, DOTTED, name=f"the law's order, {law:g}"
    )

    slopes = [law, 0.0]
    for row in rows:
        slopes += [row.low, row.high, *(slope for _, slope in row.marks)]
    finite = [slope for slope in slopes if math.isfinite(slope)]
    margin = 0.06 * (max(finite) - min(finite))
    x = Scale(
        "power of p with which robustness grows",
        log=False,
        low=min(finite) - margin,
        high=max(finite) + margin,
    )
    names = Scale("", log=False, names=tuple(row.label for row in rows))
    drawing = Drawing(
        x,
        names,
        tuple(own for own in marks if own.x),
        (line,),
        caption=_caption(rows, law),
        made_of="One row a slope; bars are 95 % intervals.",
        height=ROW * len(rows) + 16,
        width=WIDTH,
    )
    return Chart("Slopes against the law's order", (drawing,))


def _caption(rows: list[ForestRow], law: float) -> str:
    """Return how many intervals hold the law's order, and how many lie below or above it."""
    known = [row for row in rows if math.isfinite(row.low) and math.isfinite(row.high)]
    if not known:
        return "No slope here has an interval."
    below = sum(row.high < law for row in known)
    above = sum(row.low > law for row in known)
    holding = len(known) - below - above
    return (
        f"Of {len(known)} slopes with an interval, {holding} could be the law's order, {law:g};"
        f" {below} below it, {above} above."
    )


def _estimates(rows: list[ForestRow], kind: str) -> Marks:
    """Return the estimates of one kind."""
    name, shape, colour = KINDS[kind]
    own = [
        (i, row) for i, row in enumerate(rows) if row.kind == kind and math.isfinite(row.estimate)
    ]
    return Marks(
        name,
        tuple(row.estimate for _, row in own),
        tuple(float(i) for i, _ in own),
        colour,
        shape,
        size=8,
        low=tuple(row.low for _, row in own),
        high=tuple(row.high for _, row in own),
        across=True,
        texts=tuple(
            f"{row.label}, {name}: {row.estimate:+.2f} ({row.low:+.2f} to {row.high:+.2f})"
            for _, row in own
        ),
    )


def _recipes(rows: list[ForestRow]) -> Marks:
    """Return a tick for each recipe's slope."""
    own = [(i, row, mark) for i, row in enumerate(rows) for mark in row.marks]
    return Marks(
        "one recipe",
        tuple(slope for _, _, (_, slope) in own),
        tuple(float(i) for i, _, _ in own),
        QUIET,
        TICK,
        size=9,
        texts=tuple(f"{row.label}, {name}: {slope:+.2f}" for _, row, (name, slope) in own),
    )
