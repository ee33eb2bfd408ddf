"""What the two charts of the frontier share: one point a cell, its hover text, and traces that hold
every choice of problem and variable (`meta`, see `scatter.py`)."""

from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reports.charts.style import base_layout
from reports.frontier_answer import FrontierFit

GREY = "#666"

Choice = tuple[str, str]
"""A problem and the variable along x."""
View = tuple[list[Any], list[Any]]
"""The x and y values of a trace under one choice."""


def cells_of_fit(fit: FrontierFit) -> pd.DataFrame:
    """Return one row per cell: geometric means over seeds of radius, missed and plain, means of
    r_inf, r_law and r_law_32bit (NaN unless all seeds have them), and what places the cell. A cell
    with a radius of 0 has no place."""
    rows = fit.rows[fit.rows["fitted"]].assign(per_neuron=fit.rows["neurons"] / fit.rows["n"])
    logs = ["radius", "missed", "plain"]
    rows[logs] = np.log(rows[logs].where(rows[logs] > 0))
    first = ("problem", "curve", "n", "d", "p", "depth", "proved", "by_law", "per_sample")
    flags = ("binds", "window", "per_neuron")
    means = (*logs, "r_inf", "r_law", "r_law_32bit")
    by_cell = rows.groupby("cell")
    cells = by_cell.agg(
        **{column: (column, "first") for column in (*first, *flags)},
        seeds=("seed", "nunique"),
    )
    # A mean over some of the seeds would not belong to the others' r*.
    known = rows[list(means)].notna().groupby(rows["cell"]).all()
    cells = cells.join(by_cell[list(means)].mean().where(known))
    cells[logs] = np.exp(cells[logs])
    return cells.sort_values(["d", "n", "p"])


def hover(cell: pd.Series) -> str:
    """Return the escaped hover text of one cell."""

    def known(column: str) -> str:
        return "unknown" if pd.isna(cell[column]) else f"{cell[column]:.3g}"

    lines = [
        f"{cell['problem']}, {cell['seeds']} data seeds",
        f"n {cell['n']:,}, d {cell['d']:,}, p {cell['p']:,}, p/n {cell['per_sample']:.3g}",
        f"r* {known('radius')}, not fitted at {known('missed')}",
        f"plain training {known('plain')}, r∞ {known('r_inf')}, r_law {known('r_law')}",
    ]
    return "<br>".join(map(escape, lines))


def views(table: pd.DataFrame, choices: list[Choice], problem: str, y: str) -> list[View]:
    """Return x and y under every choice, empty where the choice shows another problem."""

    def plain(column: str) -> list[Any]:
        return [None if pd.isna(value) else float(value) for value in table[column]]

    return [
        (plain(variable), plain(y)) if shown == problem else ([], []) for shown, variable in choices
    ]


def trace(views: list[View], **style: Any) -> go.Scatter:
    """Return a trace that shows the first view and carries the others."""
    x, y = views[0]
    if len(views) > 1:
        style["meta"] = [{"x": x, "y": y} for x, y in views]
    return go.Scatter(x=x, y=y, **style)


def with_choices(layouts: list[dict[str, Any]], height: int) -> dict[str, Any]:
    """Return the layout of the first choice, which carries those of the others. height: pixels."""
    layout = base_layout(height) | {k: layouts[0][k] for k in ("xaxis", "yaxis")}
    if len(layouts) > 1:
        layout["meta"] = {"choices": layouts}
    return layout
