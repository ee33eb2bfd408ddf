"""The section "Published language models": a table of published figures, and accuracy against size.

The strip of their places p/(n·d) is drawn below the law chart (see the section "law").
"""

from typing import NamedTuple

from reports.charts.published import ACCURACY, accuracy_chart
from reports.claims.arithmetic import CONVENTIONS, needed, orders_short, published
from reports.evidence import Evidence
from reports.law import Fits
from reports.numbers import Number
from reports.published.tables import LanguageModel, language_models
from reports.sections.section import Section, fill


class Line(NamedTuple):
    """One line of the table, parameters and tokens in billions. None: not published.

    `short`: the orders of magnitude by which p falls short of n·d, under each of CONVENTIONS.
    """

    model: LanguageModel
    parameters: Number
    tokens: Number | None
    place: Number | None
    short: list[Number | None]

    def numbers(self) -> list[Number]:
        numbers = (self.parameters, self.tokens, self.place, *self.short)
        return [number for number in numbers if number is not None]


class PublishedModels(NamedTuple):
    """The table, and the names of the ways to count d."""

    lines: list[Line]
    conventions: list[str]

    def numbers(self) -> list[Number]:
        return [number for line in self.lines for number in line.numbers()]


def section(evidence: Evidence, fits: Fits) -> Section:
    models = published_models()
    figures = {ACCURACY: accuracy_chart()}
    html = fill("published_models.html.j2", published=models, figures=figures)
    return Section("published", "Published language models", html, models.numbers(), figures)


def published_models() -> PublishedModels:
    """Return the table's lines and the names of the conventions for d."""
    lines = [_line(model) for model in language_models()]
    return PublishedModels(lines, [convention.name for convention in CONVENTIONS])


def _line(model: LanguageModel) -> Line:
    short: list[Number | None] = []
    for convention in CONVENTIONS:
        need = needed(model, convention)
        if need is None:
            short.append(None)
            continue
        how = f"log10(n·d / p), {convention.key}"
        orders = orders_short(model.parameters, need)
        short.append(published("published", orders, model, how, "signed"))

    tokens = None
    if model.tokens is not None:
        tokens = published("published", model.tokens / 1e9, model, "tokens, in billions")

    place = None
    if model.place is not None:
        place = published("published", model.place, model, "parameters / (tokens · d_model)")

    parameters = published("published", model.parameters / 1e9, model, "parameters, in billions")
    return Line(model, parameters, tokens, place, short)
