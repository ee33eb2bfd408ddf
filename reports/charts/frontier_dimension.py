"""Draw r*·sqrt(n·d/p) against d at fixed p/n, which decides between the variables p/(n·d) and
p/n."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

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
from reports.charts.style import COLOURS
from reports.frontier_answer import PER_SAMPLE, FrontierFit, at_ratios

TITLE = "r* · √(n·d/p)"


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
            "yaxis": axis_layout(Axis("multiple", TITLE), cells),
        }
        for problem, cells in tables.items()
    ]
    figure.layout = with_choices(layouts, 560)
    return figure


def _at_fixed_ratios(fit: FrontierFit) -> pd.DataFrame:
    """Return the cells of the shallowest nets near the values PER_SAMPLE of p/n."""
    cells = at_ratios(cells_of_fit(fit))
    return cells.assign(multiple=cells["radius"] / np.sqrt(cells["by_law"]))


def _multiples(
    cells: pd.DataFrame, choices: list[Choice], problem: str, k: int, colour: str
) -> go.Scatter:
    return trace(
        views(cells, choices, problem, "multiple"),
        mode="markers",
        name="p = n" if k == 1 else f"p = {k}n",
        legendgroup=f"ratio{k}",
        text=[hover(cell) for _, cell in cells.iterrows()],
        hovertemplate="%{text}<br>r*·√(n·d/p) %{y:.3g}<extra></extra>",
        marker={
            "symbol": np.where(cells["binds"], "diamond", "diamond-open").tolist(),
            "color": colour,
            "size": 10,
        },
    )


def _orders(fit: FrontierFit, cells: pd.DataFrame, choices: list[Choice]) -> list[go.Scatter]:
    """Return the two orders as guides through the cells of the largest dimension."""
    ends = np.array([cells["d"].min(), cells["d"].max()], float)
    height = float(np.exp(np.log(cells.loc[cells["d"].eq(ends[1]), "multiple"]).mean()))
    guides = {
        "horizontal: p/(n·d) is the variable (height chosen)": np.full(2, height),
        "rising: p/n is the variable (height chosen)": height * np.sqrt(ends / ends[1]),
    }
    line = {"color": GREY, "width": 1.5}
    return [
        trace(
            [(ends.tolist(), y.tolist()) if own == fit.problem else ([], []) for own, _ in choices],
            mode="lines",
            name=name,
            line=line | {"dash": dash},
            hoverinfo="skip",
        )
        for (name, y), dash in zip(guides.items(), ("dash", "dot"), strict=True)
    ]
