"""The charts, as plotly figures whose every point is one trial.

Filled: the law's noise condition met for what the chart shows (isoperimetry proved on the sphere, assumed elsewhere).
Hollow: anything else; hover says why. Lines: fitted slopes over the cells they were fitted to. Dotted: a guide with
the law's slope, its height chosen.
"""

import json
import shlex
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reports.claims import FLIP_RADIUS, with_flip_rate
from reports.fit import Slope
from reports.law import LIPSCHITZ, STABILITY, KindFit
from reports.tables import Evidence, fit_rows, records

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999933")
"""Okabe & Ito's palette, told apart by readers with colour-vision deficiencies."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon", "triangle-down")


class Axis(NamedTuple):
    column: str
    title: str
    log: bool = True


P = Axis("p", "p, trainable parameters")
P_OVER_ND = Axis("x_law", "p / (n·d), d ambient")
P_OVER_TOKENS = Axis("params_per_token", "parameters per distinct token, p / n")
S = Axis(STABILITY, "stability S, data units (upper estimate)")
LIP = Axis(LIPSCHITZ, "largest gradient norm (lower estimate)")
FLIPS = Axis("flip_rate", f"labels flipped by noise of {FLIP_RADIUS:g} data units", log=False)
ACCURACY = Axis("test_accuracy", "held-out accuracy", log=False)


def all_figures(evidence: Evidence, fits: list[KindFit]) -> dict[str, go.Figure]:
    """Every chart that the store has rows for, by the key under which the page places it."""
    trials = with_flip_rate(evidence.trials)
    scalar = trials[trials["outputs"].eq(1)]
    stability = {f.kind: f.stability for f in fits}
    lipschitz = {f.kind: f.lipschitz for f in fits if f.lipschitz}
    figures = {
        "law": _scatter(evidence, trials, P_OVER_ND, S, fitted=stability, guide=0.5),
        "lipschitz": _scatter(evidence, scalar, P_OVER_ND, LIP, fills="tests_lipschitz", fitted=lipschitz, guide=-0.5),
        "per_token": _scatter(evidence, trials, P_OVER_TOKENS, S),
        "sensitivity": _scatter(evidence, trials, P, FLIPS),
        "accuracy": _scatter(evidence, trials, P, ACCURACY),
    }
    return {key: figure for key, figure in figures.items() if figure is not None}


def _scatter(
    evidence: Evidence,
    trials: pd.DataFrame,
    x: Axis,
    y: Axis,
    fills: str = "tests_stability",
    fitted: dict[str, Slope] | None = None,
    guide: float | None = None,
) -> go.Figure | None:
    """One marker per trial, filled where `fills` says so, one colour and symbol per kind. None without a trial to draw."""
    shown = trials[trials[x.column].gt(0) & (trials[y.column].gt(0) if y.log else trials[y.column].notna())]
    if shown.empty:
        return None
    figure = go.Figure()
    for i, kind in enumerate(sorted(evidence.trials["kind"].unique())):  # of the whole store: one look in every chart
        colour, symbol = COLOURS[i % len(COLOURS)], SYMBOLS[i % len(SYMBOLS)]
        mine = shown[shown["kind"].eq(kind)]
        for filled, rows in ((True, mine[mine[fills]]), (False, mine[~mine[fills]])):
            if not rows.empty:
                figure.add_trace(_points(evidence, rows, x, y, kind, colour, symbol, filled, first=filled or not mine[fills].any()))
        slope = (fitted or {}).get(kind)
        if slope and not slope.failure:
            for line in _fitted_lines(fit_rows(trials, kind), x, y, slope):
                figure.add_trace(_line(*line, kind, colour))
    if guide is not None:
        figure.add_trace(_guide(shown, x, y, guide))
    figure.update_layout(
        template="simple_white",
        height=560,
        margin={"l": 64, "r": 12, "t": 12, "b": 48},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "font": {"size": 12}},
        hoverlabel={"align": "left", "font": {"size": 12}},
        font={"family": "system-ui, sans-serif", "size": 13},
    )
    for axis, spec in ((figure.update_xaxes, x), (figure.update_yaxes, y)):
        axis(title=spec.title, type="log" if spec.log else "linear", showgrid=True, gridcolor="#eee")
        if spec.log:
            axis(exponentformat="power", dtick=_ticks(shown[spec.column]))
    return figure


def _ticks(values: pd.Series) -> str | int:
    """Label 1, 2 and 5 of each decade on a short axis, decades on a long one."""
    return "D2" if values.max() / values.min() < 100 else 1


def _points(
    evidence: Evidence, rows: pd.DataFrame, x: Axis, y: Axis, kind: str, colour: str, symbol: str, filled: bool, first: bool
) -> go.Scatter:
    return go.Scatter(
        x=rows[x.column].tolist(),
        y=rows[y.column].tolist(),
        mode="markers",
        name=escape(kind),
        legendgroup=kind,
        showlegend=bool(first),
        marker={"color": colour, "symbol": symbol if filled else f"{symbol}-open", "size": 7, "opacity": 0.85},
        customdata=[[row["trial_id"], *_said(row), rerun(evidence, row)] for row in records(rows)],
        hovertemplate="<b>%{customdata[1]}</b><br>%{customdata[2]}<br>%{customdata[3]}<br>"
        "x %{x:.3g}, y %{y:.3g}<br><i>%{customdata[4]}</i><extra></extra>",
    )


def _said(row: dict[str, Any]) -> tuple[str, str, str]:
    """Escaped hover lines: kind and trial; settings; figures and whether it counts."""
    settings = json.loads(row["config_json"])
    shown = ", ".join(f"{k} {v}" for k, v in settings.items() if k not in ("lr", "batch_size", "max_epochs", "source"))
    figures = f"seed {row['seed']}, p {row['p']:,}, S {row[STABILITY]:.3g}, accuracy {row['test_accuracy']:.3f}"
    counts = "; ".join(filter(None, (row["why_hollow"], "in the fit" if row["in_fit"] else "not in a fit")))
    return escape(f"{row['kind']} · trial {row['trial_id']}"), escape(shown[:160]), escape(f"{figures}; {counts}")


def rerun(evidence: Evidence, row: dict[str, Any]) -> str:
    """The command that runs a trial again, into a store of its own."""
    for sweep in evidence.sweeps:
        if row["trial_id"] in sweep.trials:
            parts = ["unilaw", "run", str(evidence.folder / f"{sweep.stem}.yaml"), "--trial", row["trial_id"], "--store", "rerun"]
            if sweep.task_source is not None:
                parts += ["--task-file", str(evidence.folder / f"{sweep.stem}.py")]
            return escape(shlex.join(parts))
    return "its sweep file is not in the store"


def _fitted_lines(rows: pd.DataFrame, x: Axis, y: Axis, slope: Slope) -> list[tuple[list[float], list[float]]]:
    """The fitted line of each curve between its smallest and largest fitted size."""
    lines = []
    for _, curve in rows[rows[y.column] > 0].groupby("curve"):
        log_p, log_y = np.log(curve["p"].astype(float)), np.log(curve[y.column])
        level = (log_y - slope.slope * log_p).mean()
        ends = curve.sort_values("p").iloc[[0, -1]]
        lines.append((ends[x.column].tolist(), np.exp(level + slope.slope * np.log(ends["p"].astype(float))).tolist()))
    return lines


def _line(x: list[float], y: list[float], kind: str, colour: str) -> go.Scatter:
    return go.Scatter(x=x, y=y, mode="lines", line={"color": colour, "width": 1.5}, hoverinfo="skip", legendgroup=kind, showlegend=False)


def _guide(shown: pd.DataFrame, x: Axis, y: Axis, slope: float) -> go.Scatter:
    """A line of the law's slope through the median point, cut where it leaves the range of the data."""
    log_x, log_y = np.log(shown[x.column].to_numpy(float)), np.log(shown[y.column].to_numpy(float))
    middle_x, middle_y = float(np.median(log_x)), float(np.median(log_y))
    where_y_ends = sorted(middle_x + (edge - middle_y) / slope for edge in (float(log_y.min()), float(log_y.max())))
    ends = np.array([max(where_y_ends[0], float(log_x.min())), min(where_y_ends[1], float(log_x.max()))])
    if ends[1] - ends[0] < 0.1:  # a single point
        ends = np.array([middle_x - 0.5, middle_x + 0.5])
    sign = "+" if slope > 0 else "−"
    return go.Scatter(
        x=np.exp(ends).tolist(),
        y=np.exp(middle_y + slope * (ends - middle_x)).tolist(),
        mode="lines",
        line={"color": "#888", "dash": "dot", "width": 2},
        name=f"guide: the law's slope {sign}1/2, height chosen",
        hoverinfo="skip",
    )
