"""Draw a chart in which every point is one trial, with fitted lines, guides and published points,
as a plotly figure.

Filled points: the trial meets the law's noise condition for what the chart shows (isoperimetry is
proved on the sphere and assumed elsewhere). Hollow points: it does not; hovering says why. Lines:
fitted slopes over the cells they were fitted to. Dotted lines: guides with the order of the law's
bound at an arbitrary height.

A chart with several x or y to choose from holds all of them: the `meta` of each trace lists the
values of every choice, and the `meta` of the layout their labels and axis titles. The page offers
them as a list above the chart.
"""

from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reports.charts.axes import Axis, axis_layout, drawable
from reports.charts.style import PUBLISHED, base_layout, kind_styles
from reports.evidence import Evidence, fit_rows
from reports.fits.slope import Slope

Axes = tuple[Axis, Axis]
"""The x and y axis under one choice."""
View = tuple[list[Any], list[Any]]
"""The x and y values of a trace under one choice."""
POINT = ("trial_id", "kind", "curve", "p", "in_fit")
"""The columns that a chart takes of each trial, beside its axes."""
DOTTED = {"color": "#888", "dash": "dot", "width": 2}


def scatter(
    evidence: Evidence,
    trials: pd.DataFrame,
    x: Axis | list[Axis],
    y: Axis | list[Axis],
    fills: str = "tests_stability",
    fitted: dict[str, Slope] | None = None,
    guide: float | None = None,
) -> go.Figure | None:
    """Draw one marker per trial, filled where the column `fills` is true, with one colour and
    symbol per kind. Return None when there is no trial to draw.

    x or y: one axis, or several to choose from. A trial is drawn when it has a value for any
    choice. fitted: the slope of each kind, drawn as a line through each of its curves. guide: the
    slope of a dotted line.
    """
    choices = [(i, j) for i in _several(x) for j in _several(y)]
    choices = [(i, j) for i, j in choices if drawable(trials, i, j).any()]
    if not choices:
        return None
    on_axes = (axis.column for choice in choices for axis in choice)
    columns = list(dict.fromkeys([*POINT, fills, *on_axes]))
    shown = trials.loc[np.any([drawable(trials, i, j) for i, j in choices], axis=0), columns]

    figure = go.Figure()
    for kind, (colour, symbol) in kind_styles(evidence.trials).items():
        rows = shown[shown["kind"].eq(kind)]
        figure.add_traces(_markers(rows, choices, kind, colour, symbol, fills))
        slope = (fitted or {}).get(kind)
        if slope and not slope.failure:
            lines = _fitted_lines(fit_rows(shown, kind), choices, slope)
            figure.add_trace(_lines(lines, kind, colour))
    if guide is not None:
        figure.add_trace(_guide(shown, choices, guide))

    _lay_out(figure, choices, shown)
    return figure


def _several(axis: Axis | list[Axis]) -> list[Axis]:
    return axis if isinstance(axis, list) else [axis]


def _lay_out(figure: go.Figure, choices: list[Axes], shown: pd.DataFrame) -> None:
    layouts = [(axis_layout(x, shown), axis_layout(y, shown)) for x, y in choices]
    first_x, first_y = layouts[0]
    layout = {**base_layout(560), "xaxis": first_x, "yaxis": first_y}
    if len(choices) > 1:
        offered = [
            {"label": y.label or x.label, "xaxis": x_layout, "yaxis": y_layout}
            for (x, y), (x_layout, y_layout) in zip(choices, layouts, strict=True)
        ]
        layout["meta"] = {"choices": offered}
    figure.layout = layout  # update_layout, which tells every trace, takes three times as long


def _trace(views: list[View], **style: Any) -> go.Scatter:
    """Return a trace that shows the first view and carries the others."""
    x, y = views[0]
    if len(views) > 1:
        style["meta"] = [{"x": x, "y": y} for x, y in views]
    return go.Scatter(x=x, y=y, **style)


def _markers(
    rows: pd.DataFrame, choices: list[Axes], kind: str, colour: str, symbol: str, fills: str
) -> list[go.Scatter]:
    """Return a kind's filled and hollow markers, the first of which appears in the legend."""
    filled = rows[rows[fills]]
    hollow = rows[~rows[fills]]
    traces = []
    if len(filled):
        traces.append(_points(filled, choices, kind, colour, symbol, in_legend=True))
    if len(hollow):
        traces.append(
            _points(hollow, choices, kind, colour, f"{symbol}-open", in_legend=filled.empty)
        )
    return traces


def _points(
    rows: pd.DataFrame, choices: list[Axes], kind: str, colour: str, symbol: str, in_legend: bool
) -> go.Scatter:
    return _trace(
        [(_values(rows[x.column]), _values(rows[y.column])) for x, y in choices],
        mode="markers",
        name=escape(kind),
        legendgroup=kind,
        showlegend=in_legend,
        marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.85},
        # The page replaces each id by the texts of that trial (`trial_texts`).
        customdata=rows["trial_id"].tolist(),
        hovertemplate=(
            "<b>%{customdata[0]}</b><br>%{customdata[1]}<br>%{customdata[2]}<br>"
            "x %{x:.3g}, y %{y:.3g}<br><i>%{customdata[3]}</i><extra></extra>"
        ),
    )


def _values(column: pd.Series) -> list[float | None]:
    """Return plain values, with None for each missing one. Plotly leaves None out."""
    return [None if pd.isna(value) else value for value in column.tolist()]


def _fitted_lines(rows: pd.DataFrame, choices: list[Axes], slope: Slope) -> list[View]:
    """Return the fitted line of each curve between its smallest and largest fitted size, in every
    view. The lines are one after another with a gap between two: a trace for each would make the
    page grow, and plotly slow, with the curves."""
    y = choices[0][1]
    rows = rows[rows[y.column] > 0]
    log_p = np.log(rows["p"].to_numpy(float))
    log_y = np.log(rows[y.column].to_numpy(float))
    above = pd.Series(log_y - slope.slope * log_p, index=rows.index)
    levels = above.groupby(rows["curve"]).mean()
    sizes = rows.groupby("curve")["p"].agg(["min", "max"])
    heights = np.exp(levels.to_numpy()[:, None] + slope.slope * np.log(sizes.to_numpy(float)))

    # The ends lie where the points of that p lie: d grows with p where it counts the numbers of a
    # model's own embedding.
    columns = list(dict.fromkeys(x.column for x, _ in choices))
    places = rows.groupby(["curve", "p"])[columns].median()
    ends = {end: places.loc[pd.MultiIndex.from_arrays([sizes.index, sizes[end]])] for end in sizes}

    along_y = _with_gaps(heights[:, 0], heights[:, 1])
    along_x = {c: _with_gaps(ends["min"][c].to_numpy(), ends["max"][c].to_numpy()) for c in columns}
    return [(along_x[x.column], along_y) for x, _ in choices]


def _with_gaps(begins: np.ndarray, ends: np.ndarray) -> list[float | None]:
    """Return begin, end, None for each line. An end that is not known is None, too."""
    gaps = np.full(len(begins), np.nan)
    values = np.column_stack([begins.astype(float), ends.astype(float), gaps]).ravel()
    return [value if np.isfinite(value) else None for value in values.tolist()]


def _lines(views: list[View], kind: str, colour: str) -> go.Scatter:
    return _trace(
        views,
        mode="lines",
        line={"color": colour, "width": 1.5},
        hoverinfo="skip",
        legendgroup=kind,
        showlegend=False,
    )


def _guide(shown: pd.DataFrame, choices: list[Axes], slope: float) -> go.Scatter:
    sign = "+" if slope > 0 else "-"
    views = [_guide_ends(shown[drawable(shown, x, y)], x, y, slope) for x, y in choices]
    return _trace(
        views,
        mode="lines",
        line=DOTTED,
        name=f"guide: the order of the law's bound, {sign}1/2, at an arbitrary height",
        hoverinfo="skip",
    )


def _guide_ends(shown: pd.DataFrame, x: Axis, y: Axis, slope: float) -> View:
    """Return the ends of a line of this slope through the median point, cut where the line leaves
    the range of the data."""
    log_x = np.log(shown[x.column].to_numpy(float))
    log_y = np.log(shown[y.column].to_numpy(float))
    middle_x = float(np.median(log_x))
    middle_y = float(np.median(log_y))

    edges_of_y = (float(log_y.min()), float(log_y.max()))
    x_at_edges = sorted(middle_x + (edge - middle_y) / slope for edge in edges_of_y)
    left = max(x_at_edges[0], float(log_x.min()))
    right = min(x_at_edges[1], float(log_x.max()))
    if right - left < 0.1:  # a single point
        left = middle_x - 0.5
        right = middle_x + 0.5

    ends = np.array([left, right])
    return np.exp(ends).tolist(), np.exp(middle_y + slope * (ends - middle_x)).tolist()


def add_diagonal(figure: go.Figure, low: float, high: float, name: str) -> None:
    """Add a dotted line y = x."""
    ends = [low, high]
    figure.add_trace(
        go.Scatter(x=ends, y=ends, mode="lines", line=DOTTED, name=name, hoverinfo="skip")
    )


def add_published(
    figure: go.Figure, x: list[float], y: list[float], texts: list[str], name: str
) -> None:
    """Add published figures to the first choice, as open grey markers: they are not trials of this
    store. texts: one hover line per point, not yet escaped."""
    choices = figure.to_dict()["layout"].get("meta", {"choices": [None]})["choices"]
    nothing = {"x": [], "y": []}
    meta = [{"x": x, "y": y}] + [nothing] * (len(choices) - 1)
    figure.add_trace(
        go.Scatter(
            x=x,
            y=y,
            mode="markers",
            name=name,
            marker={"color": "#444", "symbol": PUBLISHED, "size": 12, "line": {"width": 1.5}},
            text=[escape(text) for text in texts],
            meta=meta if len(choices) > 1 else None,
            hovertemplate="%{text}<br>x %{x:.3g}, y %{y:.3g}<extra></extra>",
        )
    )
