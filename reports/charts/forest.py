"""Describe a forest plot: one slope a row with its interval, and a line at the order of a bound.

forest_drawing([ForestRow("sphere", "best", 0.48, 0.43, 0.53), ForestRow("sphere", "plain", …)],
               order=0.5, title="exponent b in robustness ~ p^b")
"""

import math
from typing import NamedTuple

from reports.charts.chart import CIRCLE, DIAMOND, DOTTED, TICK, Drawing, Line, Marks, Scale
from reports.charts.style import COLOURS, QUIET
from reports.numbers import signed

WIDTH = 400
ROW = 27
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


def forest_drawing(
    rows: list[ForestRow], order: float | None, title: str, value: str = "only", label: str = ""
) -> Drawing:
    """Draw the rows from top to bottom. order: of the law's bound, None where no law bounds the
    measure; then the line stands at 0. title: of the axis. value and label: of the choice."""
    marks = [_recipes(rows)] + [_estimates(rows, kind) for kind in KINDS]
    at = 0.0 if order is None else order
    name = "no change with size" if order is None else f"the law's order, {_signed(order)}"
    line = Line((at, at), (-0.5, len(rows) - 0.5), QUIET, DOTTED, name=name)

    slopes = [at, 0.0]
    for row in rows:
        slopes += [row.low, row.high, *(slope for _, slope in row.marks)]
    finite = [slope for slope in slopes if math.isfinite(slope)]
    spread = max(finite) - min(finite)
    margin = 0.06 * spread if spread else 0.1  # a measure that never moves has slopes of 0 alone
    x = Scale(title, log=False, low=min(finite) - margin, high=max(finite) + margin)
    return Drawing(
        x,
        Scale("", log=False, names=tuple(row.label for row in rows)),
        tuple(own for own in marks if own.x),
        (line,),
        value=value,
        label=label,
        caption=_caption(rows, order),
        height=ROW * len(rows) + 16,
        width=WIDTH,
    )


def _caption(rows: list[ForestRow], order: float | None) -> str:
    """Return what the intervals hold, and what the dotted line means where a law bounds the
    measure."""
    text = intervals_sentence(rows, order)
    if order is None:
        return text
    side = "left" if order > 0 else "right"
    return f"{text} Slopes {side} of the dotted line are consistent with the law."


def intervals_sentence(rows: list[ForestRow], order: float | None) -> str:
    """Return how many intervals hold the order of the bound, or 0 where there is none, and how many
    lie below or above it."""
    known = [row for row in rows if math.isfinite(row.low) and math.isfinite(row.high)]
    if not known:
        return "No slope here has an interval."
    line = 0.0 if order is None else order
    target = "0, no change with size" if order is None else f"the law's order, {_signed(order)}"
    below = sum(row.high < line for row in known)
    above = sum(row.low > line for row in known)
    counts = {"hold": len(known) - below - above, "lie below": below, "lie above": above}
    present = {said: count for said, count in counts.items() if count}

    if len(present) == 1:
        (said,) = present
        if len(known) == 1:
            return f"The interval {_singular(said)} {target}."
        every = "Both" if len(known) == 2 else f"All {len(known)}"
        return f"{every} intervals {said} {target}."
    (said, count), *others = present.items()
    text = f"Of {len(known)} intervals, {_counted(said, count)} {target}"
    pieces = [f"{_counted(said, count)} it" for said, count in others]
    return f"{text}; {' and '.join(pieces)}."


def _counted(said: str, count: int) -> str:
    return f"{count} {said if count > 1 else _singular(said)}"


def _singular(said: str) -> str:
    return {"hold": "holds", "lie below": "lies below", "lie above": "lies above"}[said]


def _signed(order: float) -> str:
    return f"{order:g}".replace("-", "−")


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
            f"{row.label}, {name}: {signed(row.estimate)} ({signed(row.low)} to {signed(row.high)})"
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
        texts=tuple(f"{row.label}, {name}: {signed(slope)}" for _, row, (name, slope) in own),
    )
