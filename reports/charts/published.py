"""Describe published language models: where they lie on the law chart's axis, and their published
accuracy.

A published model has a place p/(n·d) but no stability, and it does not meet the law's noise
condition. So it never shares a chart with measured points.
"""

from functools import cache
from itertools import groupby

import numpy as np
import pandas as pd

from reports.charts.chart import DASHED, DOTTED, SOLID, TICK, Chart, Drawing, Line, Marks, Scale
from reports.charts.style import COLOURS, PUBLISHED, QUIET, SHAPES
from reports.charts.ticks import readable
from reports.published.tables import Accuracy, LanguageModel, accuracies, language_models

PLACES = "published_places"
ACCURACY = "published_accuracy"
"""Keys of the charts on the page."""
ROW = 24
"""Height of a row of the strip in pixels."""


def places(trials: pd.DataFrame) -> Chart:
    """Draw a strip over p/(n·d): a bar from the smallest to the largest trial of each family, and
    a hollow mark for each published model.

    Height means nothing: each family and each group of models has its own row.
    """
    placed = trials[np.isfinite(trials["x_law"]) & trials["x_law"].gt(0)]
    spans = {
        str(family): (float(x.min()), float(x.max()))
        for family, x in placed.groupby("family")["x_law"]
    }
    models = [(model, model.place) for model in language_models() if model.place is not None]
    rows = (*spans, *dict.fromkeys(model.group for model, _ in models))

    published = Marks(
        "published models, d_model numbers a token: outside the noise condition",
        tuple(place for _, place in models),
        tuple(float(rows.index(model.group)) for model, _ in models),
        QUIET,
        PUBLISHED,
        filled=False,
        texts=tuple(_text(model) for model, _ in models),
    )
    bars = [
        Line(ends, (float(i), float(i)), COLOURS[0], width=7)
        for i, ends in enumerate(spans.values())
    ]
    at_one = Line((1.0, 1.0), (-0.5, len(rows) - 0.5), QUIET, DOTTED, label="p = n·d")
    drawing = Drawing(
        Scale("p / (n·d)"),
        Scale("", log=False, names=rows),
        (*_ends(spans), published),
        (at_one, *bars),
        caption=_places_caption(spans, [place for _, place in models]),
        made_of=f"{len(placed):,} trials and {len(models)} published models.",
        height=ROW * len(rows) + 20,
    )
    return Chart("Places p/(n·d) of this store's trials and of published models", (drawing,))


def _ends(spans: dict[str, tuple[float, float]]) -> list[Marks]:
    """Return marks at both ends of each family's bar."""
    if not spans:
        return []
    ends = [(i, family, end) for i, (family, own) in enumerate(spans.items()) for end in own]
    return [
        Marks(
            "this store's trials, smallest to largest p/(n·d)",
            tuple(end for _, _, end in ends),
            tuple(float(i) for i, _, _ in ends),
            COLOURS[0],
            TICK,
            size=12,
            texts=tuple(f"{family}: p/(n·d) {end:.2g}" for _, family, end in ends),
        )
    ]


def _places_caption(spans: dict[str, tuple[float, float]], published: list[float]) -> str:
    low, high = _two(min(published)), _two(max(published))
    text = f"Published language models lie at p/(n·d) of {low} to {high}"
    if not spans:
        return f"{text}."
    low, high = min(low for low, _ in spans.values()), max(high for _, high in spans.values())
    return f"{text}, the trials of this store at {_two(low)} to {_two(high)}."


def _two(value: float) -> str:
    return readable(float(f"{value:.2g}"))


def _text(model: LanguageModel) -> str:
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
def accuracy_chart() -> Chart:
    """Draw published accuracy against parameters. A line joins only one group of models on one
    benchmark in one harness. Every page gets the same chart, since no row is in it."""
    benchmarks = list(dict.fromkeys(entry.benchmark for entry in accuracies()))
    groups = list(dict.fromkeys(entry.model.group for entry in accuracies()))

    def place(entry: Accuracy) -> tuple[int, int, str, str]:
        return (
            benchmarks.index(entry.benchmark),
            groups.index(entry.model.group),
            entry.harness,
            entry.shots,
        )

    marks, lines = [], []
    for (benchmark, group, _, _), entries in groupby(sorted(accuracies(), key=place), key=place):
        own = _series(list(entries), COLOURS[benchmark], SHAPES[group])
        few_shot = "few-shot" in own.name
        marks.append(own)
        lines.append(Line(own.x, own.y, own.colour, DASHED if few_shot else SOLID, width=1))
    drawing = Drawing(
        Scale("p, parameters"),
        Scale("published accuracy", log=False, share=True),
        tuple(marks),
        tuple(lines),
        caption=_accuracy_caption(marks),
        made_of=f"{len(accuracies())} published figures.",
        height=380,
    )
    return Chart("Published accuracy against parameters", (drawing,))


def _accuracy_caption(series: list[Marks]) -> str:
    """Return in how many series the largest model is also the best."""
    several = [own for own in series if len(own.x) > 1]
    rising = sum(own.y[-1] == max(own.y) for own in several)
    return (
        f"In {rising} of the {len(several)} series of several published models, one group on one"
        " benchmark in one harness, the largest model is the most accurate. The other"
        f" {len(series) - len(several)} series of the legend hold one model each."
    )


def _series(entries: list[Accuracy], colour: str, shape: str) -> Marks:
    first = entries[0]
    benchmark = f"{first.benchmark}, {first.shots}" if first.shots else first.benchmark
    return Marks(
        f"{benchmark}: {first.model.group} ({first.harness})",
        tuple(float(entry.model.parameters) for entry in entries),
        tuple(entry.accuracy for entry in entries),
        colour,
        shape,
        filled=False,
        texts=tuple(
            f"{entry.model.name}: {100 * entry.accuracy:g} %. {entry.source} ({entry.verified})"
            for entry in entries
        ),
    )
