"""Draw language models with one line per size, against the distance of a changed token or the
radius of noise."""

import math
from collections.abc import Callable
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reports.charts.axes import GRID
from reports.charts.style import SYMBOLS, base_layout
from reports.entries import has_entries
from reports.measures import as_list

READ = ("trial_id", "token_changes", "noise_radii", "noise_kl")
"""The columns that a line is made of."""
Z = 1.96
"""Half-width of a 95 % interval in standard errors."""
SMALLEST_COLOUR = (0x9E, 0xCA, 0xE1)
LARGEST_COLOUR = (0x08, 0x30, 0x6B)
"""Red, green and blue of the smallest and the largest model."""


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


def lines_figure(
    views: list[tuple[str, list[Line]]], x_axis: dict[str, Any], y_axis: dict[str, Any]
) -> go.Figure:
    """Draw one trace per size, as many as the view with the most sizes has. Each view, a label with
    its lines, is one choice."""
    figure = go.Figure()
    for i in range(max(len(lines) for _, lines in views)):
        meta = [_trace(lines, i) for _, lines in views]
        choices = {"meta": meta} if len(views) > 1 else {}
        figure.add_trace(go.Scatter(mode="lines+markers", **meta[0], **choices))

    x_axis = x_axis | GRID
    y_axis = y_axis | GRID
    if y_axis["type"] == "log":
        y_axis |= {"exponentformat": "power", "dtick": 1}

    layout = {**base_layout(520), "xaxis": x_axis, "yaxis": y_axis}
    if len(views) > 1:
        offered = [{"label": label, "xaxis": x_axis, "yaxis": y_axis} for label, _ in views]
        layout["meta"] = {"choices": offered}
    figure.layout = layout
    return figure


def _trace(lines: list[Line], i: int) -> dict[str, Any]:
    """Return the i-th trace under one choice, empty where the choice has fewer sizes."""
    if i >= len(lines):
        return {"x": [], "y": [], "showlegend": False}
    line = lines[i]
    colour = _colour(i, len(lines))

    trials = max(len(point.trials) for point in line.points)
    name = f"p = {line.p:,}"
    if trials > 1:
        name += f", {trials} trials"

    return {
        "x": [point.x for point in line.points],
        "y": [point.y for point in line.points],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [point.above for point in line.points],
            "arrayminus": [point.below for point in line.points],
            "thickness": 1,
            "width": 2,
        },
        "name": escape(name),
        "showlegend": True,
        "line": {"color": colour, "width": 1.5},
        "marker": {"color": colour, "symbol": SYMBOLS[i % len(SYMBOLS)], "size": 7},
        "hovertemplate": f"{escape(name)}<br>x %{{x:g}}, y %{{y:.3g}}<extra></extra>",
    }


def _colour(i: int, count: int) -> str:
    """Return the i-th of `count` colours from the smallest model's to the largest's."""
    share = i / (count - 1) if count > 1 else 1.0
    channels = zip(SMALLEST_COLOUR, LARGEST_COLOUR, strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in channels)
