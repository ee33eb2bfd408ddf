"""Draw the frontier: the radius of the most robust fit found, and that of plain training, against
p/(n·d), p/n or m/n.

Diamonds: the most robust fit found. Circles: plain training. One colour a dimension.
"""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from reports.charts.axes import Axis, axis_layout
from reports.charts.frontier_points import (
    GREY,
    Choice,
    cells_of_fit,
    hover,
    trace,
    views,
    with_choices,
)
from reports.construction import caps
from reports.frontier_answer import ATTAINED, IN_DIMENSION, FrontierFit

VARIABLES = {
    "by_law": Axis("by_law", "p / (n·d)"),
    "per_sample": Axis("per_sample", "p / n"),
    "per_neuron": Axis("per_neuron", "m / n, neurons over samples"),
}
TITLE = "training radius, data units (estimate)"
HEADROOM = 1.6
"""The y axis ends at this multiple of the largest r∞ or radius. r_law may lie above it."""
SHOWS_CONSTANT = (ATTAINED, IN_DIMENSION)


def radii_chart(fits: list[FrontierFit]) -> go.Figure | None:
    """Draw r* with its bracket and plain training's radius, None where nothing was fitted."""
    tables = {fit.problem: cells_of_fit(fit) for fit in fits}
    tables = {problem: cells for problem, cells in tables.items() if len(cells)}
    if not tables:
        return None
    choices = [
        (problem, variable)
        for problem, cells in tables.items()
        for variable in VARIABLES
        if cells[variable].notna().any()
    ]

    figure = go.Figure()
    dimensions = sorted({int(d) for cells in tables.values() for d in cells["d"].unique()})
    for d, colour in zip(dimensions, _shades(len(dimensions)), strict=True):
        for problem, cells in tables.items():
            own = cells[cells["d"].eq(d)]
            if len(own):
                figure.add_traces(_dimension(own, choices, problem, d, colour))
    for fit in fits:
        if fit.problem in tables:
            figure.add_traces(_lines(fit, tables[fit.problem], choices))
    figure.add_traces(_keys(tables))

    layouts = [_layout(problem, variable, tables[problem]) for problem, variable in choices]
    figure.layout = with_choices(layouts, 600)
    return figure


def _shades(count: int) -> list[str]:
    """Return a colour for each dimension, dark to light, without the palest."""
    places = np.linspace(0.0, 0.88, count) if count > 1 else np.array([0.3])
    return [str(colour) for colour in sample_colorscale("Viridis", places.tolist())]


def _dimension(
    cells: pd.DataFrame, choices: list[Choice], problem: str, d: int, colour: str
) -> list[go.Scatter]:
    """Return the traces of one dimension: frontier, plain training."""
    found = views(cells, choices, problem, "radius")
    deep = cells["depth"].gt(cells["depth"].min()).to_numpy()
    upper = (cells["missed"] - cells["radius"]).fillna(0).tolist()
    texts = [hover(cell) for _, cell in cells.iterrows()]
    frontier = trace(
        found,
        mode="markers",
        name=f"d = {d}",
        legendgroup=f"d{d}",
        text=texts,
        hovertemplate="%{text}<extra></extra>",
        marker={
            "symbol": np.where(deep, "square", "diamond").tolist(),
            "color": colour,
            "size": 9,
        },
        error_y={"type": "data", "array": upper, "arrayminus": [0] * len(upper), "width": 3},
    )
    plain = trace(
        views(cells, choices, problem, "plain"),
        mode="markers",
        legendgroup=f"d{d}",
        showlegend=False,
        text=texts,
        hovertemplate="%{text}<extra></extra>",
        marker={"symbol": "circle-open", "color": colour, "size": 7},
    )
    return [frontier, plain]


def _lines(fit: FrontierFit, cells: pd.DataFrame, choices: list[Choice]) -> list[go.Scatter]:
    """Return the ceilings of the curve with the most sizes, the construction, and the constant."""
    shown = _longest(cells)
    at = f"n = {shown['n'].iloc[0]:,}, d = {shown['d'].iloc[0]:,}"
    styles = {
        "r_inf": (f"r∞, no net of any size ({at})", {"color": GREY, "dash": "dot", "width": 2}),
        "r_law": (f"r_law, 1 nat a parameter ({at})", {"color": GREY, "width": 1.5}),
        "r_law_32bit": (f"r_law, 22.2 nats ({at})", {"color": GREY, "dash": "dash", "width": 1.5}),
    }
    traces = []
    for column, (name, line) in styles.items():
        if shown[column].notna().any():
            along = views(shown, choices, fit.problem, column)
            traces.append(trace(along, mode="lines", name=name, line=line, hoverinfo="skip"))

    if fit.constant and fit.verdict in SHOWS_CONSTANT:
        inside = cells[cells["window"]]
        ends = np.array([inside["by_law"].min(), inside["by_law"].max()])
        drawn = (ends.tolist(), (fit.constant.value * np.sqrt(ends)).tolist())
        along = [drawn if choice == (fit.problem, "by_law") else ([], []) for choice in choices]
        name = f"{fit.constant.value:.2f}·√(p/(n·d)), where it was fitted"
        line = {"color": "#000", "width": 1.5}
        traces.append(trace(along, mode="lines", name=name, line=line, hoverinfo="skip"))
    if cells["proved"].all():
        traces.append(_construction(fit, cells, choices))
    return traces


def _longest(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of the curve with the most sizes; of several, that of the largest d."""
    sizes = cells.groupby("curve").agg(sizes=("p", "nunique"), d=("d", "first"))
    return cells[cells["curve"].eq(sizes.sort_values(["sizes", "d"]).index[-1])]


def _construction(fit: FrontierFit, cells: pd.DataFrame, choices: list[Choice]) -> go.Scatter:
    """Return the cap construction for every n and d of the cells."""
    places = cells[["n", "d"]].drop_duplicates()
    made = [caps(int(n), int(d)) for n, d in zip(places["n"], places["d"], strict=True)]
    table = places.assign(radius=[own.radius for own in made], p=[own.p for own in made])
    table["by_law"] = table["p"] / (table["n"] * table["d"])
    table["per_sample"] = table["p"] / table["n"]
    table["per_neuron"] = 1.0
    texts = [
        f"caps: n {n:,}, d {d:,}, p {p:,}: radius 1 − cos θ = {radius:.3g}"
        for n, d, p, radius in zip(*(table[c] for c in ("n", "d", "p", "radius")), strict=True)
    ]
    return trace(
        views(table, choices, fit.problem, "radius"),
        mode="markers",
        name="caps by construction, 1 − cos θ (θ for uniform points)",
        text=texts,
        hovertemplate="%{text}<extra></extra>",
        marker={"symbol": "x-thin-open", "color": GREY, "size": 8},
    )


def _keys(tables: dict[str, pd.DataFrame]) -> list[go.Scatter]:
    """Return legend entries for what the symbols mean."""
    symbols = {"diamond": "most robust fit found; bar: not fitted at its end"}
    if any(cells["depth"].nunique() > 1 for cells in tables.values()):
        symbols["square"] = "the same, deeper nets"
    if any(cells["plain"].notna().any() for cells in tables.values()):
        symbols["circle-open"] = "plain training"
    return [
        go.Scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=name,
            marker={"symbol": symbol, "color": "#000", "size": 8},
        )
        for symbol, name in symbols.items()
    ]


def _layout(problem: str, variable: str, cells: pd.DataFrame) -> dict[str, Any]:
    tops = cells[["radius", "r_inf"]].max().max()
    lows = cells[["radius", "plain"]].min().min()
    y = axis_layout(Axis("radius", TITLE), cells)
    y |= {"range": [float(np.log10(lows / HEADROOM)), float(np.log10(HEADROOM * tops))]}
    label = f"{VARIABLES[variable].title} · {problem}"
    return {"label": label, "xaxis": axis_layout(VARIABLES[variable], cells), "yaxis": y}
