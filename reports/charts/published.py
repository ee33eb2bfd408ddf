"""Draw published language models: where they lie on the law chart's axis, and their published
accuracy.

A published model has a place p/(n·d) but no stability, and it does not meet the law's noise
condition. So it never shares a chart with measured points.
"""

from functools import cache
from html import escape
from itertools import groupby

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reports.charts.axes import GRID
from reports.charts.style import COLOURS, PUBLISHED, SYMBOLS, base_layout
from reports.published.tables import Accuracy, LanguageModel, accuracies, language_models

PLACES = "published_places"
ACCURACY = "published_accuracy"
"""Keys of the charts on the page."""
LINE_HEIGHT = 24
"""Height of a line of the strip in pixels."""
TOOL_BAR = 32
"""Height in pixels of plotly's tool bar, which covers the top of a chart."""
GROUP_SYMBOLS = [symbol for symbol in SYMBOLS if symbol != "hexagon"]
"""An open hexagon looks too much like an open circle."""
LOG_AXIS = {"type": "log", **GRID, "exponentformat": "power", "dtick": 1}


def places(trials: pd.DataFrame) -> go.Figure:
    """Draw a strip over p/(n·d): a bar from the smallest to the largest trial of each family, and
    an open mark for each published model.

    Height means nothing: each family and each group of models has its own line.
    """
    placed = trials[np.isfinite(trials["x_law"]) & trials["x_law"].gt(0)]
    spans = {
        escape(str(family)): (float(x.min()), float(x.max()))
        for family, x in placed.groupby("family")["x_law"]
    }
    models = [model for model in language_models() if model.place is not None]

    figure = go.Figure()
    for i, (family, (low, high)) in enumerate(spans.items()):
        figure.add_trace(_span(family, low, high, in_legend=i == 0))
    figure.add_trace(
        go.Scatter(
            x=[model.place for model in models],
            y=[model.group for model in models],
            mode="markers",
            name="published models, d_model numbers per token: outside the noise condition",
            marker={"color": "#444", "symbol": PUBLISHED, "size": 11, "line": {"width": 1.5}},
            text=[escape(_hover(model)) for model in models],
            hovertemplate="%{text}<br>p/(n·d) %{x:.2g}<extra></extra>",
        )
    )

    lines = [*spans, *dict.fromkeys(model.group for model in models)]
    base = base_layout(LINE_HEIGHT * len(lines) + 150)
    figure.layout = {
        **base,
        "margin": {**base["margin"], "t": TOOL_BAR},
        "xaxis": {"title": {"text": "p / (n·d)"}, **LOG_AXIS},
        "yaxis": {
            "categoryorder": "array",
            "categoryarray": lines[::-1],
            "automargin": True,
            **GRID,
        },
    }
    figure.add_vline(x=1, line={"color": "#888", "dash": "dot", "width": 2})
    figure.add_annotation(
        x=0,  # of a logarithmic axis: 10^0
        y=0,  # at the bottom, since the tool bar covers the top
        yref="paper",
        text="p = n·d",
        showarrow=False,
        xanchor="left",
        yanchor="bottom",
        xshift=3,
        font={"color": "#666"},
    )
    return figure


def _span(family: str, low: float, high: float, in_legend: bool) -> go.Scatter:
    colour = COLOURS[0]
    ends = {
        "color": colour,
        "symbol": "line-ns",
        "size": 12,
        "line": {"width": 3, "color": colour},
    }
    return go.Scatter(
        x=[low, high],
        y=[family, family],
        mode="lines+markers",
        name="this store's trials, smallest to largest p/(n·d)",
        showlegend=in_legend,
        legendgroup="measured",
        line={"color": colour, "width": 8},
        marker=ends,
        hovertemplate=f"{family}<br>p/(n·d) %{{x:.2g}}<extra></extra>",
    )


def _hover(model: LanguageModel) -> str:
    """Return a model's figures and how far they were checked."""
    memory = [field for field in model.from_memory if field in ("tokens", "d_model")]
    checked = model.verified
    if memory:
        checked += f"; from memory: {', '.join(memory)}"
    return (
        f"{model.name}: {model.parameters:.3g} parameters, {model.tokens:.3g} tokens,"
        f" d_model {model.d_model}. {model.source} ({checked})"
    )


@cache
def accuracy_chart() -> go.Figure:
    """Draw published accuracy against parameters. A line joins only one group of models on one
    benchmark in one harness. Every page gets the same figure, since no row is in it."""
    benchmarks = list(dict.fromkeys(entry.benchmark for entry in accuracies()))
    groups = list(dict.fromkeys(entry.model.group for entry in accuracies()))

    def place(entry: Accuracy) -> tuple[int, int, str, str]:
        return (
            benchmarks.index(entry.benchmark),
            groups.index(entry.model.group),
            entry.harness,
            entry.shots,
        )

    figure = go.Figure()
    for (benchmark, group, _, _), entries in groupby(sorted(accuracies(), key=place), key=place):
        figure.add_trace(_series(list(entries), COLOURS[benchmark], GROUP_SYMBOLS[group]))
    figure.layout = {
        **base_layout(600),
        "xaxis": {"title": {"text": "p, parameters"}, **LOG_AXIS},
        "yaxis": {"title": {"text": "published accuracy"}, "tickformat": ".0%", **GRID},
    }
    return figure


def _series(entries: list[Accuracy], colour: str, symbol: str) -> go.Scatter:
    first = entries[0]
    benchmark = f"{first.benchmark}, {first.shots}" if first.shots else first.benchmark
    dash = "dot" if first.shots == "few-shot" else "solid"
    return go.Scatter(
        x=[entry.model.parameters for entry in entries],
        y=[entry.accuracy for entry in entries],
        mode="lines+markers",
        name=f"{benchmark}: {first.model.group} ({first.harness})",
        line={"color": colour, "width": 1, "dash": dash},
        marker={"color": colour, "symbol": f"{symbol}-open", "size": 8},
        text=[
            escape(
                f"{entry.model.name}: {100 * entry.accuracy:g} %. {entry.source} ({entry.verified})"
            )
            for entry in entries
        ],
        hovertemplate="%{text}<extra></extra>",
    )
