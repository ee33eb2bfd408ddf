"""How a chart is drawn: markers whose every point is one trial, fitted lines, guides and published
points, as plotly figures.

Filled: the law's noise condition met for what the chart shows (isoperimetry proved on the sphere,
assumed elsewhere). Hollow: anything else; hover says why. Lines: fitted slopes over the cells they
were fitted to. Dotted: a guide with the law's slope, its height chosen.

A chart with several x or y to choose from holds all of them: each trace's `meta` lists the values
of every choice, the layout's `meta` their labels and axis titles, and the page offers them as a
list above the chart.
"""

import json
import shlex
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reports.evidence import Evidence, fit_rows, records
from reports.fits.slope import Slope
from reports.measures import STABILITY

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999933")
"""Okabe & Ito's palette, told apart by readers with colour-vision deficiencies."""
SYMBOLS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "star",
    "hexagon",
    "triangle-down",
)
PUBLISHED = "star-diamond-open"
HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#999933", "#E69F00", "#56B4E9")
"""The same palette for families: a paler blue comes near the palette's other one, which is
therefore last."""
PALER = (0.0, 0.3, 0.5, 0.65)
"""How much white is in the colour of a family's first, second, … kind."""
RECIPE = (
    "lr",
    "batch_size",
    "micro_batch",
    "max_epochs",
    "source",
    "beta2",
    "clip",
    "final_lr",
    "warmup",
    "weight_decay",
    "precision",
    "compiled",
    "last_words",
    "last_words_most",
)
"""Settings that hover leaves out: they say how and from where, not what."""


class Axis(NamedTuple):
    """`label`: its name in a list of choices."""

    column: str
    title: str
    log: bool = True
    label: str = ""


def scatter(
    evidence: Evidence,
    trials: pd.DataFrame,
    x: Axis | list[Axis],
    y: Axis | list[Axis],
    fills: str = "tests_stability",
    fitted: dict[str, Slope] | None = None,
    guide: float | None = None,
) -> go.Figure | None:
    """One marker per trial, filled where `fills` says so, one colour and symbol per kind. None
    without a trial to draw.

    x or y: one axis, or several to choose from. A trial is drawn when it has a value for any
    choice.
    """
    views = [(i, j) for i in _several(x) for j in _several(y)]
    views = [(i, j) for i, j in views if _drawable(trials, i, j).any()]
    if not views:
        return None
    shown = trials[np.any([_drawable(trials, i, j) for i, j in views], axis=0)]
    figure = go.Figure()
    for kind, (colour, symbol) in looks(evidence.trials).items():
        mine = shown[shown["kind"].eq(kind)]
        for filled, rows in ((True, mine[mine[fills]]), (False, mine[~mine[fills]])):
            if not rows.empty:
                figure.add_trace(
                    _points(
                        rows,
                        views,
                        kind,
                        colour,
                        symbol,
                        filled,
                        first=filled or not mine[fills].any(),
                    )
                )
        slope = (fitted or {}).get(kind)
        if slope and not slope.failure:
            for line in _fitted_lines(fit_rows(shown, kind), views, slope):
                figure.add_trace(_line(line, kind, colour))
    if guide is not None:
        figure.add_trace(
            _guide(
                [_guide_ends(shown[_drawable(shown, i, j)], i, j, guide) for i, j in views], guide
            )
        )
    first_x, first_y = views[0]
    figure.update_layout(look(560), xaxis=_axis(first_x, shown), yaxis=_axis(first_y, shown))
    if len(views) > 1:
        choices = [
            {"label": j.label or i.label, "xaxis": _axis(i, shown), "yaxis": _axis(j, shown)}
            for i, j in views
        ]
        figure.update_layout(meta={"choices": choices})
    return figure


def looks(trials: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Colour and symbol of every kind, in alphabetical order, the same in every chart of a report.

    Kinds of one family share a hue, the later the paler, and differ in symbol. Where there is one
    family, each kind has a hue.
    """
    kinds = trials.groupby("kind")["family"].first().sort_index()
    families = sorted(kinds.unique())
    found = {}
    for i, (kind, family) in enumerate(kinds.items()):
        place = int((kinds.iloc[:i] == family).sum())
        hue = paler(HUES[families.index(family) % len(HUES)], PALER[place % len(PALER)])
        found[str(kind)] = (
            hue if len(families) > 1 else COLOURS[i % len(COLOURS)],
            SYMBOLS[i % len(SYMBOLS)],
        )
    return found


def paler(colour: str, white: float) -> str:
    """#RRGGBB mixed with so much white.

    >>> paler("#000000", 0.5)
    '#808080'
    """
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * white):02x}" for part in parts)


def look(height: int) -> dict[str, Any]:
    """The layout that all charts have in common."""
    return {
        "template": "simple_white",
        "height": height,
        "margin": {"l": 64, "r": 12, "t": 12, "b": 48},
        "legend": {
            "orientation": "h",
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "x": 0,
            "font": {"size": 12},
        },
        "hoverlabel": {"align": "left", "font": {"size": 12}},
        "font": {"family": "system-ui, sans-serif", "size": 13},
    }


def _several(axis: Axis | list[Axis]) -> list[Axis]:
    return axis if isinstance(axis, list) else [axis]


def _drawable(trials: pd.DataFrame, x: Axis, y: Axis) -> pd.Series:
    """Which trials have a place on these axes."""
    return trials[x.column].gt(0) & (trials[y.column].gt(0) if y.log else trials[y.column].notna())


def _axis(spec: Axis, shown: pd.DataFrame) -> dict[str, Any]:
    look: dict[str, Any] = {
        "title": {"text": spec.title},
        "type": "log" if spec.log else "linear",
        "showgrid": True,
        "gridcolor": "#eee",
    }
    return look | (
        {"exponentformat": "power", "dtick": _ticks(shown[spec.column])} if spec.log else {}
    )


def _ticks(values: pd.Series) -> str | int:
    """Label 1, 2 and 5 of each decade on a short axis, decades on a long one."""
    positive = values[values > 0]
    return "D2" if positive.max() / positive.min() < 100 else 1


View = tuple[list[Any], list[Any]]
"""The x and y values of a trace under one choice."""


def _trace(views: list[View], **look: Any) -> go.Scatter:
    """A trace that begins with the first view and carries the others."""
    x, y = views[0]
    return go.Scatter(
        x=x,
        y=y,
        **look,
        **({"meta": [{"x": x, "y": y} for x, y in views]} if len(views) > 1 else {}),
    )


def _values(column: pd.Series) -> list[float | None]:
    """Plain values; None where there is none, which plotly leaves out."""
    return [None if pd.isna(v) else v for v in column.tolist()]


def _points(
    rows: pd.DataFrame,
    views: list[tuple[Axis, Axis]],
    kind: str,
    colour: str,
    symbol: str,
    filled: bool,
    first: bool,
) -> go.Scatter:
    return _trace(
        [(_values(rows[x.column]), _values(rows[y.column])) for x, y in views],
        mode="markers",
        name=escape(kind),
        legendgroup=kind,
        showlegend=bool(first),
        marker={
            "color": colour,
            "symbol": symbol if filled else f"{symbol}-open",
            "size": 7,
            "opacity": 0.85,
        },
        # the page puts what `said_of_trials` says in its place
        customdata=rows["trial_id"].tolist(),
        hovertemplate=(
            "<b>%{customdata[0]}</b><br>%{customdata[1]}<br>%{customdata[2]}<br>"
            "x %{x:.3g}, y %{y:.3g}<br><i>%{customdata[3]}</i><extra></extra>"
        ),
    )


def said_of_trials(evidence: Evidence) -> dict[str, list[str]]:
    """What every chart says of a point, by trial id: hover lines and the command that runs it
    again."""
    return {
        row["trial_id"]: [*_said(row), rerun(evidence, row)] for row in records(evidence.trials)
    }


def _said(row: dict[str, Any]) -> tuple[str, str, str]:
    """Escaped hover lines: kind and trial; settings; figures and whether it counts."""
    settings = json.loads(row["config_json"])
    shown = ", ".join(f"{k} {v}" for k, v in settings.items() if k not in RECIPE)
    stability = "not measured" if pd.isna(row[STABILITY]) else f"{row[STABILITY]:.3g}"
    figures = (
        f"seed {row['seed']}, p {row['p']:,}, S {stability}, accuracy {row['test_accuracy']:.3f}"
    )
    counts = "; ".join(
        filter(None, (row["why_hollow"], "in the fit" if row["in_fit"] else "not in a fit"))
    )
    return (
        escape(f"{row['kind']} · trial {row['trial_id']}"),
        escape(shown[:160]),
        escape(f"{figures}; {counts}"),
    )


def rerun(evidence: Evidence, row: dict[str, Any]) -> str:
    """The command that runs a trial again, into a store of its own."""
    for sweep in evidence.sweeps:
        if row["trial_id"] in sweep.trials:
            path = evidence.store.files.path
            parts = [
                "unilaw",
                "run",
                path(f"{sweep.stem}.yaml"),
                "--trial",
                row["trial_id"],
                "--store",
                "rerun",
            ]
            if sweep.task_source is not None:
                parts += ["--task-file", path(f"{sweep.stem}.py")]
            return escape(shlex.join(parts))
    return "its sweep file is not in the store"


def _fitted_lines(
    rows: pd.DataFrame, views: list[tuple[Axis, Axis]], slope: Slope
) -> list[list[View]]:
    """The fitted line of each curve between its smallest and largest fitted size, in every view."""
    y = views[0][1]
    lines = []
    for _, curve in rows[rows[y.column] > 0].groupby("curve"):
        log_p, log_y = np.log(curve["p"].astype(float)), np.log(curve[y.column])
        level = (log_y - slope.slope * log_p).mean()
        sizes = [curve["p"].min(), curve["p"].max()]
        ends = np.array(sizes, float)
        height = np.exp(level + slope.slope * np.log(ends)).tolist()
        # Where the points of that p lie: d grows with p where it counts the numbers of a model's
        # own embedding.
        lines.append(
            [(curve.groupby("p")[x.column].median().loc[sizes].tolist(), height) for x, _ in views]
        )
    return [[(_finite(x), h) for x, h in line] for line in lines]


def _finite(values: list[float]) -> list[float | None]:
    return [v if np.isfinite(v) else None for v in values]


def _line(views: list[View], kind: str, colour: str) -> go.Scatter:
    return _trace(
        views,
        mode="lines",
        line={"color": colour, "width": 1.5},
        hoverinfo="skip",
        legendgroup=kind,
        showlegend=False,
    )


def _guide(views: list[View], slope: float) -> go.Scatter:
    sign = "+" if slope > 0 else "−"
    name = f"guide: the law's slope {sign}1/2, height chosen"
    return _trace(
        views,
        mode="lines",
        line={"color": "#888", "dash": "dot", "width": 2},
        name=name,
        hoverinfo="skip",
    )


def _guide_ends(shown: pd.DataFrame, x: Axis, y: Axis, slope: float) -> View:
    """The ends of a line of this slope through the median point, cut where it leaves the range
    of the data."""
    log_x, log_y = np.log(shown[x.column].to_numpy(float)), np.log(shown[y.column].to_numpy(float))
    middle_x, middle_y = float(np.median(log_x)), float(np.median(log_y))
    where_y_ends = sorted(
        middle_x + (edge - middle_y) / slope for edge in (float(log_y.min()), float(log_y.max()))
    )
    ends = np.array(
        [max(where_y_ends[0], float(log_x.min())), min(where_y_ends[1], float(log_x.max()))]
    )
    if ends[1] - ends[0] < 0.1:  # a single point
        ends = np.array([middle_x - 0.5, middle_x + 0.5])
    return np.exp(ends).tolist(), np.exp(middle_y + slope * (ends - middle_x)).tolist()


def add_diagonal(figure: go.Figure, low: float, high: float, name: str) -> None:
    """A dotted line y = x."""
    look = {"color": "#888", "dash": "dot", "width": 2}
    figure.add_trace(
        go.Scatter(
            x=[low, high], y=[low, high], mode="lines", line=look, name=name, hoverinfo="skip"
        )
    )


def add_published(
    figure: go.Figure, x: list[float], y: list[float], said: list[str], name: str
) -> None:
    """Figures that others published, as open grey markers that are no trials of this store; they
    belong to the first choice."""
    others = len(figure.to_dict()["layout"].get("meta", {"choices": [None]})["choices"]) - 1
    figure.add_trace(
        go.Scatter(
            x=x,
            y=y,
            mode="markers",
            name=name,
            marker={"color": "#444", "symbol": PUBLISHED, "size": 12, "line": {"width": 1.5}},
            text=[escape(s) for s in said],
            meta=[{"x": x, "y": y}] + [{"x": [], "y": []}] * others if others else None,
            hovertemplate="%{text}<br>x %{x:.3g}, y %{y:.3g}<extra></extra>",
        )
    )
