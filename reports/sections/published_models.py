"""Published language models beside the measured ones: where they lie on the law chart's axis, and
how accurate they are said to be.

Both are charts of their own. A published model has a place p/(n·d) but no stability, and it is
outside the law's noise condition, so it never shares a chart with measured points.
"""

from html import escape
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reports.charts.drawing import COLOURS, PUBLISHED, SYMBOLS, look
from reports.claims.arithmetic import CONVENTIONS, needed, orders_short, published
from reports.evidence import Evidence
from reports.numbers import Number
from reports.published.tables import Accuracy, LanguageModel, accuracies, language_models

PLACES, ACCURACY = "published_places", "published_accuracy"
"""Keys of the charts on the page."""
ROW = 24
"""Height of a line of the strip in pixels."""
APART = [s for s in SYMBOLS if s != "hexagon"]
"""An open hexagon is hardly told from an open circle."""


class Line(NamedTuple):
    """One model of the table, parameters and tokens in billions; None is not published.

    `short`: by how many orders of magnitude p falls short of n·d under each of CONVENTIONS.
    """

    model: LanguageModel
    parameters: Number
    tokens: Number | None
    place: Number | None
    short: list[Number | None]

    def numbers(self) -> list[Number]:
        return [n for n in (self.parameters, self.tokens, self.place, *self.short) if n is not None]


class PublishedModels(NamedTuple):
    """The page's section: a table, the names of its ways to count d, and the charts by key."""

    lines: list[Line]
    conventions: list[str]
    figures: dict[str, go.Figure]

    def numbers(self) -> list[Number]:
        return [n for line in self.lines for n in line.numbers()]


def published_models(evidence: Evidence) -> PublishedModels:
    """The table and charts; the strip of places stands below the law chart, so a store without
    trials has none."""
    figures = {ACCURACY: accuracy_chart()}
    if len(evidence.trials):
        figures[PLACES] = places(evidence.trials)
    return PublishedModels(
        [_line(m) for m in language_models()], [c.name for c in CONVENTIONS], figures
    )


def _line(model: LanguageModel) -> Line:
    short: list[Number | None] = []
    for convention in CONVENTIONS:
        need = needed(model, convention)
        how = f"log10(n·d / p), {convention.key}"
        short.append(
            None
            if need is None
            else published("published", orders_short(model.parameters, need), model, how, "signed")
        )
    return Line(
        model,
        published("published", model.parameters / 1e9, model, "parameters, in billions"),
        (
            None
            if model.tokens is None
            else published("published", model.tokens / 1e9, model, "tokens, in billions")
        ),
        (
            None
            if model.place is None
            else published("published", model.place, model, "parameters / (tokens · d_model)")
        ),
        short,
    )


def places(trials: pd.DataFrame) -> go.Figure:
    """A strip over p/(n·d): a bar from the smallest to the largest trial of every family, an open
    mark for every published model.

    Height means nothing: each family and each group of models has a line of its own.
    """
    figure = go.Figure()
    placed = trials[np.isfinite(trials["x_law"]) & trials["x_law"].gt(0)]
    spans = [
        (escape(str(family)), float(x.min()), float(x.max()))
        for family, x in placed.groupby("family")["x_law"]
    ]
    for i, (family, low, high) in enumerate(spans):
        figure.add_trace(
            go.Scatter(
                x=[low, high],
                y=[family, family],
                mode="lines+markers",
                name="this store's trials, smallest to largest p/(n·d)",
                showlegend=not i,
                legendgroup="measured",
                line={"color": COLOURS[0], "width": 8},
                marker={
                    "color": COLOURS[0],
                    "symbol": "line-ns",
                    "size": 12,
                    "line": {"width": 3, "color": COLOURS[0]},
                },
                hovertemplate=f"{family}<br>p/(n·d) %{{x:.2g}}<extra></extra>",
            )
        )
    known = [(m, m.place) for m in language_models() if m.place is not None]
    figure.add_trace(
        go.Scatter(
            x=[place for _, place in known],
            y=[m.group for m, _ in known],
            mode="markers",
            name="published models, d_model numbers a token: outside the noise condition",
            marker={"color": "#444", "symbol": PUBLISHED, "size": 11, "line": {"width": 1.5}},
            text=[escape(_said(m)) for m, _ in known],
            hovertemplate="%{text}<br>p/(n·d) %{x:.2g}<extra></extra>",
        )
    )
    lines = [family for family, _, _ in spans] + list(dict.fromkeys(m.group for m, _ in known))
    figure.add_vline(x=1, line={"color": "#888", "dash": "dot", "width": 2})
    # x on a logarithmic axis: 10^0; at the foot, since the tool bar lies on the head
    figure.add_annotation(
        x=0,
        y=0,
        yref="paper",
        text="p = n·d",
        showarrow=False,
        xanchor="left",
        yanchor="bottom",
        xshift=3,
        font={"color": "#666"},
    )
    figure.update_layout(
        look(ROW * len(lines) + 150),
        margin={"t": 32},  # clear of the tool bar
        xaxis={
            "title": {"text": "p / (n·d)"},
            "type": "log",
            "showgrid": True,
            "gridcolor": "#eee",
            "exponentformat": "power",
            "dtick": 1,
        },
        yaxis={
            "categoryorder": "array",
            "categoryarray": lines[::-1],
            "automargin": True,
            "showgrid": True,
            "gridcolor": "#eee",
        },
    )
    return figure


def _said(m: LanguageModel) -> str:
    """What hovering over a model says: its figures and how far they were checked."""
    memory = [field for field in m.from_memory if field in ("tokens", "d_model")]
    checked = f"{m.verified}; from memory: {', '.join(memory)}" if memory else m.verified
    return (
        f"{m.name}: {m.parameters:.3g} parameters, {m.tokens:.3g} tokens, d_model {m.d_model}."
        f" {m.source} ({checked})"
    )


def accuracy_chart() -> go.Figure:
    """Published accuracy against parameters. A line joins one group of models on one benchmark
    in one harness, nothing else."""

    def series(a: Accuracy) -> tuple[str, str, str, str]:
        return a.benchmark, a.model.group, a.harness, a.shots

    figure = go.Figure()
    benchmarks = list(dict.fromkeys(a.benchmark for a in accuracies()))
    groups = list(dict.fromkeys(a.model.group for a in accuracies()))
    ordered = sorted(
        accuracies(),
        key=lambda a: (
            benchmarks.index(a.benchmark),
            groups.index(a.model.group),
            a.harness,
            a.shots,
        ),
    )
    for (benchmark, group, harness, shots), joined in groupby(ordered, key=series):
        points, colour = list(joined), COLOURS[benchmarks.index(benchmark)]
        figure.add_trace(
            go.Scatter(
                x=[a.model.parameters for a in points],
                y=[a.accuracy for a in points],
                mode="lines+markers",
                name=f"{', '.join(filter(None, (benchmark, shots)))}: {group} ({harness})",
                line={
                    "color": colour,
                    "width": 1,
                    "dash": "dot" if shots == "few-shot" else "solid",
                },
                marker={"color": colour, "symbol": f"{APART[groups.index(group)]}-open", "size": 8},
                text=[
                    escape(f"{a.model.name}: {100 * a.accuracy:g} %. {a.source} ({a.verified})")
                    for a in points
                ],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    figure.update_layout(
        look(600),
        xaxis={
            "title": {"text": "p, parameters"},
            "type": "log",
            "showgrid": True,
            "gridcolor": "#eee",
            "exponentformat": "power",
            "dtick": 1,
        },
        yaxis={
            "title": {"text": "published accuracy"},
            "tickformat": ".0%",
            "showgrid": True,
            "gridcolor": "#eee",
        },
    )
    return figure
