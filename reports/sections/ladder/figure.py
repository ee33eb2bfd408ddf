"""Draw a ladder: IsoFLOP curves with their minima, and the fitted form."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reports.charts.axes import GRID
from reports.charts.style import COLOURS, SYMBOLS, base_layout
from reports.fits.isoflop import Budget
from reports.fits.scaling import Scaling
from reports.sections.ladder.convention import Convention

XY = tuple[np.ndarray, np.ndarray]
"""The x and y values of a trace under one choice."""
HOVER = (
    "<b>%{customdata[0]}</b><br>%{customdata[1]}<br>%{customdata[2]}<br>x %{x:.3g}, loss"
    " %{y:.4g}<extra></extra>"
)


class Trials(NamedTuple):
    """What the markers show: the held-out loss and id of every trial, and the choices of x, which
    are N under each convention and tokens."""

    loss: np.ndarray
    ids: np.ndarray
    choices: dict[str, np.ndarray]


def isoflop_chart(rows: pd.DataFrame, conventions: list[Convention]) -> go.Figure:
    """Draw the loss of every trial, the parabola of each budget with its minimum, and the fitted
    form at that compute."""
    choices = {f"N, {convention.name}": convention.n for convention in conventions}
    choices["tokens trained on"] = rows["tokens_seen"].to_numpy(float)
    trials = Trials(rows["test_loss"].to_numpy(float), rows["trial_id"].to_numpy(), choices)
    budgets = conventions[0].budgets

    figure = go.Figure()
    for i in range(len(budgets)):
        figure.add_traces(_budget_traces(i, trials, conventions))

    in_no_budget = np.ones(len(rows), bool)
    for budget in budgets:
        in_no_budget &= ~budget.runs
    if in_no_budget.any():
        marker = {"color": "#777", "symbol": "circle-open", "size": 8}
        figure.add_trace(
            _markers(trials, in_no_budget, marker=marker, name="in no budget of three sizes")
        )

    grid = {**GRID, "exponentformat": "power"}
    y_axis = {"title": {"text": "held-out loss, nats per token"}, **grid}
    x_axes = {title: {"title": {"text": title}, "type": "log", **grid} for title in choices}
    offered = [
        {"label": title, "xaxis": x_axis, "yaxis": y_axis} for title, x_axis in x_axes.items()
    ]
    figure.layout = {
        **base_layout(560),
        "xaxis": offered[0]["xaxis"],
        "yaxis": y_axis,
        "meta": {"choices": offered},
    }
    return figure


def _budget_traces(i: int, trials: Trials, conventions: list[Convention]) -> list[go.Scatter]:
    """Return traces of the i-th budget: its trials, parabola, minimum and, where every convention
    has a fit, the fitted form."""
    budget = conventions[0].budgets[i]
    colour = COLOURS[i % len(COLOURS)]
    name = _flop(budget.compute)
    legend = {"legendgroup": name, "name": name}
    quiet = {**legend, "showlegend": False, "hoverinfo": "skip"}

    points = {"color": colour, "symbol": SYMBOLS[i % len(SYMBOLS)], "size": 8, "opacity": 0.85}
    star = {
        "color": colour,
        "symbol": "star",
        "size": 15,
        "line": {"width": 1, "color": "#fff"},
    }
    solid = {"color": colour, "width": 2}
    dashed = {"color": colour, "width": 1, "dash": "dash"}

    own = [convention.budgets[i] for convention in conventions]
    parabolas = _curves([(b, b.at) for b in own])
    traces = [
        _markers(trials, budget.runs, marker=points, **legend),
        _trace(parabolas, mode="lines", line=solid, **quiet),
        _trace(_minima(own), mode="markers", marker=star, **quiet),
    ]

    fits = [c.fit for c in conventions if not isinstance(c.fit, str)]
    if len(fits) == len(conventions):
        forms = _curves([(b, _along(fit, b)) for b, fit in zip(own, fits, strict=True)])
        traces.append(_trace(forms, mode="lines", line=dashed, **quiet))
    return traces


def _trace(views: list[XY], **style: Any) -> go.Scatter:
    """Return a trace that shows the first view and carries all of them."""
    meta = [{"x": x.tolist(), "y": y.tolist()} for x, y in views]
    return go.Scatter(**meta[0], meta=meta, **style)


def _markers(trials: Trials, rows: np.ndarray, **style: Any) -> go.Scatter:
    """Return markers for the trials where the mask `rows` is true. The page replaces their ids by
    texts."""
    return _trace(
        [(x[rows], trials.loss[rows]) for x in trials.choices.values()],
        mode="markers",
        customdata=trials.ids[rows].tolist(),
        hovertemplate=HOVER,
        **style,
    )


def _minima(budgets: list[Budget]) -> list[XY]:
    """Return the minimum of a budget under each convention, and the first convention's minimum
    against tokens. A view is empty where the parabola has no minimum."""
    views = []
    for budget in budgets:
        best = [] if budget.failure else [budget.best.value]
        loss = [] if budget.failure else [budget.loss]
        views.append((np.array(best), np.array(loss)))
    n, loss = views[0]
    return [*views, (budgets[0].compute / 6 / n, loss)]


def _curves(curves: list[tuple[Budget, Callable[[np.ndarray], np.ndarray]]]) -> list[XY]:
    """Return a curve over the budget's sizes under each convention, and the first convention's
    curve against tokens."""
    views = []
    for budget, curve in curves:
        n = np.geomspace(budget.smallest, budget.largest, 40)
        views.append((n, curve(n)))
    n, y = views[0]
    return [*views, (curves[0][0].compute / 6 / n, y)]


def _along(fit: Scaling, budget: Budget) -> Callable[[np.ndarray], np.ndarray]:
    """Return the fitted form at the budget's compute, as a function of N."""
    return lambda n: fit.at(n, budget.compute / 6 / n)


def _flop(compute: float) -> str:
    mantissa, exponent = f"{compute:.1e}".split("e")
    return f"{mantissa}·10<sup>{int(exponent)}</sup> FLOP"
