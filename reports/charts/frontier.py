"""Draw the frontier: radii against p/(n·d), and their multiple of sqrt(p/(n·d)) against d.

Diamonds: the most robust fit found. Circles: plain training. One colour a dimension. A chart with
several problems or variables holds all of them (`meta`, see `scatter.py`).
"""

from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from reports.charts.axes import Axis, axis_layout
from reports.charts.style import COLOURS, base_layout
from reports.construction import caps
from reports.frontier import NEAR
from reports.frontier_answer import ATTAINED, IN_DIMENSION, PER_SAMPLE, FrontierFit

VARIABLES = {
    "by_law": Axis("by_law", "p / (n·d)"),
    "per_sample": Axis("per_sample", "p / n"),
    "per_neuron": Axis("per_neuron", "m / n, neurons over samples"),
}
RADIUS_TITLE = "training radius, data units (estimate)"
MULTIPLE_TITLE = "r* · √(n·d/p)"
HEADROOM = 1.6
"""The y axis ends at this multiple of the largest r∞ or radius. r_law may lie above it."""
SHOWS_CONSTANT = (ATTAINED, IN_DIMENSION)
GREY = "#666"

View = tuple[list[Any], list[Any]]


def cells_of_fit(fit: FrontierFit) -> pd.DataFrame:
    """Return one row per cell: geometric means over seeds of radius, missed, plain and per_neuron,
    means of r_inf and r_law, and what places the cell. A radius of 0 has no place."""
    rows = fit.rows[fit.rows["fitted"]].assign(per_neuron=fit.rows["neurons"] / fit.rows["n"])
    logs = ["radius", "missed", "plain"]
    rows[logs] = np.log(rows[logs].where(rows[logs] > 0))
    first = ("problem", "curve", "n", "d", "p", "depth", "proved", "by_law", "per_sample")
    flags = ("binds", "window", "per_neuron")
    cells = rows.groupby("cell").agg(
        **{column: (column, "first") for column in (*first, *flags)},
        **{column: (column, "mean") for column in (*logs, "r_inf", "r_law", "r_law_32bit")},
        seeds=("seed", "nunique"),
    )
    cells[logs] = np.exp(cells[logs])
    return cells.sort_values(["d", "n", "p"])


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
    figure.layout = _with_choices(layouts, 600)
    return figure


def _shades(count: int) -> list[str]:
    """Return a colour for each dimension, dark to light, without the palest."""
    places = np.linspace(0.0, 0.88, count) if count > 1 else np.array([0.3])
    return sample_colorscale("Viridis", places.tolist())


def _dimension(
    cells: pd.DataFrame, choices: list[tuple[str, str]], problem: str, d: int, colour: str
) -> list[go.Scatter]:
    """Return the traces of one dimension: frontier, plain training."""
    found = _views(cells, choices, problem, "radius")
    deep = cells["depth"].gt(cells["depth"].min()).to_numpy()
    upper = (cells["missed"] - cells["radius"]).fillna(0).tolist()
    texts = [_hover(cell) for _, cell in cells.iterrows()]
    frontier = _trace(
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
    plain = _trace(
        _views(cells, choices, problem, "plain"),
        mode="markers",
        legendgroup=f"d{d}",
        showlegend=False,
        text=texts,
        hovertemplate="%{text}<extra></extra>",
        marker={"symbol": "circle-open", "color": colour, "size": 7},
    )
    return [frontier, plain]


def _hover(cell: pd.Series) -> str:
    lines = [
        f"{cell['problem']}, {cell['seeds']} data seeds",
        f"n {cell['n']:,}, d {cell['d']:,}, p {cell['p']:,}, p/n {cell['per_sample']:.3g}",
        f"r* {cell['radius']:.3g}, not fitted at {cell['missed']:.3g}",
        f"plain training {cell['plain']:.3g}, r∞ {cell['r_inf']:.3g}, r_law {cell['r_law']:.3g}",
    ]
    return "<br>".join(escape(line.replace("nan", "unknown")) for line in lines)


def _lines(
    fit: FrontierFit, cells: pd.DataFrame, choices: list[tuple[str, str]]
) -> list[go.Scatter]:
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
            views = _views(shown, choices, fit.problem, column)
            traces.append(_trace(views, mode="lines", name=name, line=line, hoverinfo="skip"))

    if fit.constant and fit.verdict in SHOWS_CONSTANT:
        inside = cells[cells["window"]]
        ends = np.array([inside["by_law"].min(), inside["by_law"].max()])
        drawn = (ends.tolist(), (fit.constant.value * np.sqrt(ends)).tolist())
        views = [drawn if choice == (fit.problem, "by_law") else ([], []) for choice in choices]
        name = f"{fit.constant.value:.2f}·√(p/(n·d)), where it was fitted"
        line = {"color": "#000", "width": 1.5}
        traces.append(_trace(views, mode="lines", name=name, line=line, hoverinfo="skip"))
    if cells["proved"].all():
        traces.append(_construction(fit, cells, choices))
    return traces


def _longest(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of the curve with the most sizes; of several, that of the largest d."""
    sizes = cells.groupby("curve").agg(sizes=("p", "nunique"), d=("d", "first"))
    return cells[cells["curve"].eq(sizes.sort_values(["sizes", "d"]).index[-1])]


def _construction(
    fit: FrontierFit, cells: pd.DataFrame, choices: list[tuple[str, str]]
) -> go.Scatter:
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
    return _trace(
        _views(table, choices, fit.problem, "radius"),
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


def _views(table: pd.DataFrame, choices: list[tuple[str, str]], problem: str, y: str) -> list[View]:
    """Return x and y under every choice, empty where the choice shows another problem."""

    def plain(column: str) -> list[Any]:
        return [None if pd.isna(value) else float(value) for value in table[column]]

    return [
        (plain(variable), plain(y)) if shown == problem else ([], []) for shown, variable in choices
    ]


def _trace(views: list[View], **style: Any) -> go.Scatter:
    x, y = views[0]
    if len(views) > 1:
        style["meta"] = [{"x": x, "y": y} for x, y in views]
    return go.Scatter(x=x, y=y, **style)


def _layout(problem: str, variable: str, cells: pd.DataFrame) -> dict[str, Any]:
    tops = cells[["radius", "r_inf"]].max().max()
    lows = cells[["radius", "plain"]].min().min()
    y = axis_layout(Axis("radius", RADIUS_TITLE), cells)
    y |= {"range": [float(np.log10(lows / HEADROOM)), float(np.log10(HEADROOM * tops))]}
    label = f"{VARIABLES[variable].title} · {problem}"
    return {"label": label, "xaxis": axis_layout(VARIABLES[variable], cells), "yaxis": y}


def _with_choices(layouts: list[dict[str, Any]], height: int) -> dict[str, Any]:
    layout = base_layout(height) | {k: layouts[0][k] for k in ("xaxis", "yaxis")}
    if len(layouts) > 1:
        layout["meta"] = {"choices": layouts}
    return layout


def multiples_chart(fits: list[FrontierFit]) -> go.Figure | None:
    """Draw r*·sqrt(n·d/p) against d at fixed p/n, None without two dimensions at any.

    Where p/(n·d) is the variable the points lie on a horizontal line, where p/n is, on a rising
    one. Filled: the law can bind in the cell.
    """
    tables = {fit.problem: _at_fixed_ratios(fit) for fit in fits}
    tables = {problem: cells for problem, cells in tables.items() if cells["d"].nunique() > 1}
    if not tables:
        return None
    choices = [(problem, "d") for problem in tables]

    figure = go.Figure()
    for colour, k in zip(COLOURS, PER_SAMPLE, strict=False):
        for problem, cells in tables.items():
            own = cells[cells["ratio"].eq(k)]
            if len(own):
                figure.add_trace(_multiples(own, choices, problem, k, colour))
    for fit in fits:
        if fit.problem in tables:
            figure.add_traces(_orders(fit, tables[fit.problem], choices))

    layouts = [
        {
            "label": problem,
            "xaxis": axis_layout(Axis("d", "d, numbers in one input"), cells),
            "yaxis": axis_layout(Axis("multiple", MULTIPLE_TITLE), cells),
        }
        for problem, cells in tables.items()
    ]
    figure.layout = _with_choices(layouts, 480)
    return figure


def _at_fixed_ratios(fit: FrontierFit) -> pd.DataFrame:
    """Return the cells of the shallowest nets near the values PER_SAMPLE of p/n."""
    cells = cells_of_fit(fit)
    cells = cells[cells["depth"].isna() | cells["depth"].eq(cells["depth"].min())]
    ratio = np.full(len(cells), np.nan)
    for k in PER_SAMPLE:
        ratio[(cells["per_sample"] / k - 1).abs() <= NEAR] = k
    cells = cells.assign(ratio=ratio, multiple=cells["radius"] / np.sqrt(cells["by_law"]))
    return cells.dropna(subset="ratio")


def _multiples(
    cells: pd.DataFrame, choices: list[tuple[str, str]], problem: str, k: int, colour: str
) -> go.Scatter:
    return _trace(
        _views(cells, choices, problem, "multiple"),
        mode="markers",
        name="p = n" if k == 1 else f"p = {k}n",
        legendgroup=f"ratio{k}",
        text=[_hover(cell) for _, cell in cells.iterrows()],
        hovertemplate="%{text}<br>r*·√(n·d/p) %{y:.3g}<extra></extra>",
        marker={
            "symbol": np.where(cells["binds"], "diamond", "diamond-open").tolist(),
            "color": colour,
            "size": 10,
        },
    )


def _orders(
    fit: FrontierFit, cells: pd.DataFrame, choices: list[tuple[str, str]]
) -> list[go.Scatter]:
    """Return the two orders as guides through the cells of the largest dimension."""
    ends = np.array([cells["d"].min(), cells["d"].max()], float)
    height = float(np.exp(np.log(cells.loc[cells["d"].eq(ends[1]), "multiple"]).mean()))
    guides = {
        "horizontal: p/(n·d) is the variable (height chosen)": np.full(2, height),
        "rising: p/n is the variable (height chosen)": height * np.sqrt(ends / ends[1]),
    }
    line = {"color": GREY, "width": 1.5}
    return [
        _trace(
            [(ends.tolist(), y.tolist()) if own == fit.problem else ([], []) for own, _ in choices],
            mode="lines",
            name=name,
            line=line | {"dash": dash},
            hoverinfo="skip",
        )
        for (name, y), dash in zip(guides.items(), ("dash", "dot"), strict=True)
    ]
