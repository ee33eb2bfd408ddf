"""The section "Changed tokens": how the prediction of the next token answers when one token before
it is changed, or all are blurred.

By distance of the changed token from the target, as in Khandelwal et al. 2018 (arXiv 1805.04623).
Of each kind of model one curve is shown: the one with the most sizes, of these the one with the
largest n. A line is one size: the mean over its trials.
"""

import math
from collections.abc import Callable
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reports.charts.drawing import SYMBOLS, look
from reports.evidence import Evidence
from reports.measures import as_list
from reports.numbers import Number, Sentence

KL, ACCURACY, NOISE = "tokens_kl", "tokens_accuracy", "tokens_noise"
"""Keys of the charts on the page."""
CHANGES = {
    "replaced": "another token instead",
    "swapped": "swapped with the token before it",
    "typo": "a slip of the keyboard",
}
Z = 1.96
"""Half-width of a 95 % interval in standard errors."""
SMALL, LARGE = (0x9E, 0xCA, 0xE1), (0x08, 0x30, 0x6B)
"""Colours of the smallest and the largest model."""


class Point(NamedTuple):
    """Mean over a size's trials, how far its bar reaches below and above, and the trials."""

    x: float
    y: float
    below: float
    above: float
    trials: tuple[str, ...]


class Line(NamedTuple):
    """One size of a shown curve."""

    p: int
    points: list[Point]


class Curve(NamedTuple):
    """What a kind of model shows: its name with n, its rows, and their p in ascending order."""

    kind: str
    name: str
    rows: pd.DataFrame
    sizes: list[int]


class ChangedTokens(NamedTuple):
    """The section: its charts by key, and a sentence a kind."""

    figures: dict[str, go.Figure]
    sentences: list[Sentence]

    def numbers(self) -> list[Number]:
        return [number for sentence in self.sentences for number in sentence.numbers()]


def changed_tokens(evidence: Evidence) -> ChangedTokens | None:
    """Charts and sentences of the rows with `token_changes`; None without one."""
    curves = shown_curves(evidence.trials)
    if not curves:
        return None
    distance = {
        "title": {"text": "tokens from the target; 1: the last one before it"},
        "type": "log",
        "dtick": math.log10(2),
    }
    by_change = {
        (f"{c.name}: {said}", change): (c, change)
        for c in curves
        for change, said in CHANGES.items()
        if _lines(c, _changes("kl", change))
    }
    figures = {}
    for key, column, title, scale in (
        (KL, "kl", "KL from the prediction without the change, nats", "log"),
        (ACCURACY, "accuracy", "next tokens predicted after the change", "linear"),
    ):
        views = [
            (label, _lines(c, _changes(column, change)))
            for (label, _), (c, change) in by_change.items()
        ]
        figures[key] = _figure(views, distance, {"title": {"text": title}, "type": scale})
    noisy = [(c.name, lines) for c in curves if (lines := _lines(c, _noise))]
    if noisy:
        radius = {"title": {"text": "noise on all tokens' embeddings, data units"}, "type": "log"}
        figures[NOISE] = _figure(
            noisy,
            radius,
            {"title": {"text": "KL from the prediction without noise, nats"}, "type": "log"},
        )
    return ChangedTokens(figures, [said for c in curves if (said := _said(c))])


def shown_curves(trials: pd.DataFrame) -> list[Curve]:
    """The curve shown of every kind with `token_changes`, in alphabetical order."""
    known = trials[trials["token_changes"].map(lambda c: len(as_list(c)) > 0).astype(bool)]
    found = []
    for kind, rows in known.groupby("kind"):
        curves = [curve for _, curve in rows.groupby("curve")]
        best = max(curves, key=lambda c: (c["p"].nunique(), c["n"].fillna(0).max()))
        n = best["n"].iloc[0]
        one_n = best["n"].nunique() == 1 and not best["n"].isna().any()
        name = f"{kind}, n = {int(n):,}" if one_n else str(kind)
        found.append(Curve(str(kind), name, best, sorted(int(p) for p in best["p"].unique())))
    return found


Values = Callable[[dict[str, Any]], list[tuple[float, float, float]]]
"""x, y and the standard error of y, of one row; no standard error is NaN."""


def _changes(column: str, change: str) -> Values:
    def of(row: dict[str, Any]) -> list[tuple[float, float, float]]:
        entries = [
            c
            for c in as_list(row["token_changes"])
            if c["kind"] == change and c[column] is not None
        ]
        return [
            (float(c["distance"]), float(c[column]), _or_nan(c[f"{column}_se"])) for c in entries
        ]

    return of


def _noise(row: dict[str, Any]) -> list[tuple[float, float, float]]:
    radii, kl = as_list(row["noise_radii"]), as_list(row["noise_kl"])
    return (
        [(float(r), float(v), math.nan) for r, v in zip(radii, kl, strict=True)]
        if len(radii) == len(kl)
        else []
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _lines(curve: Curve, values: Values) -> list[Line]:
    """A line a size, of the sizes that have values.

    Bars: 95 % over windows where the rows have standard errors, which leaves out what differs
    between seeds; elsewhere from the smallest to the largest trial.
    """
    lines = []
    for p in curve.sizes:
        rows = curve.rows[curve.rows["p"].eq(p)].to_dict("records")
        told = [
            (str(row["trial_id"]), value)
            for row in rows
            for value in values({str(k): v for k, v in row.items()})
        ]
        points = []
        for x in sorted({x for _, (x, _, _) in told}):
            mine = [(trial, y, se) for trial, (at, y, se) in told if at == x]
            y, se = np.array([y for _, y, _ in mine]), np.array([se for _, _, se in mine])
            mean, bar = float(y.mean()), Z * float(np.sqrt((se**2).sum())) / len(se)
            below, above = (
                (bar, bar) if np.isfinite(bar) else (mean - float(y.min()), float(y.max()) - mean)
            )
            points.append(Point(x, mean, below, above, tuple(trial for trial, _, _ in mine)))
        if points:
            lines.append(Line(p, points))
    return lines


def _figure(views: list[tuple[str, list[Line]]], x: dict[str, Any], y: dict[str, Any]) -> go.Figure:
    """One trace a size, as many as the view with the most has; every view says what each of them
    shows."""
    figure = go.Figure()
    grid = {"showgrid": True, "gridcolor": "#eee"}
    for i in range(max(len(lines) for _, lines in views)):
        meta = [_trace(lines, i) for _, lines in views]
        figure.add_trace(
            go.Scatter(
                mode="lines+markers", **meta[0], **({"meta": meta} if len(views) > 1 else {})
            )
        )
    axes = {
        "xaxis": x | grid,
        "yaxis": y | grid | ({"exponentformat": "power", "dtick": 1} if y["type"] == "log" else {}),
    }
    figure.update_layout(look(520), xaxis=axes["xaxis"], yaxis=axes["yaxis"])
    if len(views) > 1:
        figure.update_layout(meta={"choices": [{"label": label, **axes} for label, _ in views]})
    return figure


def _trace(lines: list[Line], i: int) -> dict[str, Any]:
    """What the i-th trace shows under one choice; nothing where there are fewer sizes."""
    if i >= len(lines):
        return {"x": [], "y": [], "showlegend": False}
    line = lines[i]
    share = i / (len(lines) - 1) if len(lines) > 1 else 1.0
    colour = "#" + "".join(
        f"{round(a + (b - a) * share):02x}" for a, b in zip(SMALL, LARGE, strict=True)
    )
    trials = max(len(point.trials) for point in line.points)
    name = f"p = {line.p:,}" + (f", {trials} trials" if trials > 1 else "")
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


def _said(curve: Curve) -> Sentence | None:
    """What replacing the last token, and one as far away as the rows tell, does to the smallest
    and to the largest model."""
    lines = _lines(curve, _changes("kl", "replaced"))
    if not lines:
        return None
    parts: dict[str, Any] = {"name": curve.name}
    for size, line in (("small", lines[0]), ("large", lines[-1])):
        near, far = line.points[0], line.points[-1]
        key = f"tokens:{curve.kind}:{size}"
        parts[size] = Number(
            f"{key}:p", line.p, f"{size}est p of the curve shown", near.trials, "int"
        )
        for place, point in (("near", near), ("far", far)):
            how = "kl of token_changes, replaced, at {} distance; mean over trials".format(
                {"near": "the smallest", "far": "the largest"}[place]
            )
            parts[f"{size}_{place}"] = Number(f"{key}:{place}", point.y, how, point.trials)
    parts["far"] = Number(
        f"tokens:{curve.kind}:distance",
        lines[0].points[-1].x,
        "largest distance of token_changes",
        style="int",
    )
    text = (
        "{name}: another token in the last place moves the prediction by {small_near} nats at p ="
        " {small}"
    )
    apart = ", {far} tokens from the target by {small_far}"
    if len(lines) == 1:
        return Sentence(
            text + apart + ".", {k: v for k, v in parts.items() if not k.startswith("large")}
        )
    return Sentence(text + " and {large_near} at p = {large}" + apart + " and {large_far}.", parts)
