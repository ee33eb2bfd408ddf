"""Describe language models with one line per size, against the distance of a changed token or the
radius of noise."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports.charts.chart import Chart, Drawing, Marks, Scale
from reports.charts.style import COLOURS, SHAPES, steps
from reports.entries import has_entries
from reports.measures import as_list

READ = ("trial_id", "token_changes", "noise_radii", "noise_kl")
"""The columns that a line is made of."""
Z = 1.96
"""Half-width of a 95 % interval in standard errors."""


class Value(NamedTuple):
    """One row's y at x, with the standard error of y; NaN where there is none."""

    x: float
    y: float
    se: float


Values = Callable[[dict[str, Any]], list[Value]]
"""Row → its values."""


class Point(NamedTuple):
    """The mean over the trials of one size, the reach of its bar below and above, and the
    trials."""

    x: float
    y: float
    below: float
    above: float
    trials: tuple[str, ...]


class Line(NamedTuple):
    """The line of one size on a shown curve."""

    p: int
    points: list[Point]


class Curve(NamedTuple):
    """The curve that shows one kind of model: its name with n, its rows, and their p in ascending
    order."""

    kind: str
    name: str
    rows: pd.DataFrame
    sizes: list[int]


def shown_curves(trials: pd.DataFrame) -> list[Curve]:
    """Return the curve that shows each kind with `token_changes`, in alphabetical order."""
    shown = []
    for kind, rows in trials[has_entries(trials["token_changes"])].groupby("kind"):
        curves = [curve for _, curve in rows.groupby("curve")]
        best = max(curves, key=_sizes_and_n)

        name = str(kind)
        if best["n"].nunique() == 1 and not best["n"].isna().any():
            name = f"{kind}, n = {int(best['n'].iloc[0]):,}"
        sizes = sorted(int(p) for p in best["p"].unique())
        shown.append(Curve(str(kind), name, best, sizes))
    return shown


def _sizes_and_n(curve: pd.DataFrame) -> tuple[int, float]:
    return curve["p"].nunique(), curve["n"].fillna(0).max()


def change_values(column: str, change: str) -> Values:
    """Return a reader of one column of token_changes by distance, for one kind of change."""

    def of_row(row: dict[str, Any]) -> list[Value]:
        values = []
        for entry in as_list(row["token_changes"]):
            if entry["kind"] == change and entry[column] is not None:
                se = entry[f"{column}_se"]
                se = math.nan if se is None else float(se)
                values.append(Value(float(entry["distance"]), float(entry[column]), se))
        return values

    return of_row


def noise_values(row: dict[str, Any]) -> list[Value]:
    """Return a row's KL under noise, by the noise's radius."""
    radii = as_list(row["noise_radii"])
    kl = as_list(row["noise_kl"])
    if len(radii) != len(kl):
        return []
    return [Value(float(r), float(y), math.nan) for r, y in zip(radii, kl, strict=True)]


def curve_lines(curve: Curve, values: Values) -> list[Line]:
    """Return one line for each size that has values."""
    lines = []
    for p in curve.sizes:
        by_x: dict[float, list[tuple[str, Value]]] = {}
        for row in curve.rows.loc[curve.rows["p"].eq(p), list(READ)].to_dict("records"):
            for value in values({str(name): cell for name, cell in row.items()}):
                by_x.setdefault(value.x, []).append((str(row["trial_id"]), value))
        if by_x:
            lines.append(Line(p, [_point(x, by_x[x]) for x in sorted(by_x)]))
    return lines


def _point(x: float, measured: list[tuple[str, Value]]) -> Point:
    """Return the mean over trials with its bar.

    Where the rows have standard errors, bars are 95 % intervals over windows, which leave out the
    spread between seeds. Elsewhere they run from the smallest to the largest trial.
    """
    y = np.array([value.y for _, value in measured])
    se = np.array([value.se for _, value in measured])
    mean = float(y.mean())

    bar = Z * float(np.sqrt((se**2).sum())) / len(se)
    if np.isfinite(bar):
        below = bar
        above = bar
    else:
        below = mean - float(y.min())
        above = float(y.max()) - mean
    return Point(x, mean, below, above, tuple(trial for trial, _ in measured))


def lines_chart(
    title: str, views: list[tuple[str, list[Line]]], x: Scale, y: Scale, noun: str, switch: str
) -> Chart:
    """Draw one line per size. Each view, a label with its lines, is one drawing. noun: what a
    caption calls y. switch: what the views differ in, a key of CHOICES."""
    drawings = tuple(
        Drawing(
            x,
            y,
            tuple(_marks(line, i, len(lines)) for i, line in enumerate(lines)),
            value=f"view{k}",
            label=label,
            caption=_caption(label, lines, noun),
            made_of=_made_of(lines),
        )
        for k, (label, lines) in enumerate(views)
    )
    return Chart(title, drawings, switch if len(drawings) > 1 else "")


def _marks(line: Line, i: int, count: int) -> Marks:
    name = f"p = {line.p:,}"
    points = line.points
    return Marks(
        name,
        tuple(point.x for point in points),
        tuple(point.y for point in points),
        steps(COLOURS[0], count)[i],
        SHAPES[i % len(SHAPES)],
        low=tuple(point.y - point.below for point in points),
        high=tuple(point.y + point.above for point in points),
        texts=tuple(
            f"{name}: mean over {len(point.trials)} trials"
            if len(point.trials) > 1
            else f"{name}, trial {''.join(point.trials)}"
            for point in points
        ),
        joined=True,
    )


def _caption(label: str, lines: list[Line], noun: str) -> str:
    """Return y of the smallest and of the largest model at the nearest and the farthest x."""

    def ends(line: Line) -> str:
        near, far = line.points[0], line.points[-1]
        return f"{near.y:.3g} at {near.x:g} to {far.y:.3g} at {far.x:g} for p = {line.p:,}"

    if not lines:
        return f"{label}: not measured."
    told = [lines[0], lines[-1]] if len(lines) > 1 else lines
    return f"{label}: {noun} goes from " + ", and from ".join(map(ends, told)) + "."


def _made_of(lines: list[Line]) -> str:
    trials = {trial for line in lines for point in line.points for trial in point.trials}
    return f"{len(trials):,} trials of {len(lines)} sizes."
