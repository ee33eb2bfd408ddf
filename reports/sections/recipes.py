"""The section "Slopes over recipes": each kind's slopes by the recipe of its training, below and
above a knee or p = n·d, and how stability moves with the parts of d."""

import json
from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.best_fit_answer import plain_share
from reports.evidence import Evidence, fit_rows
from reports.fit_numbers import slope_numbers
from reports.fits.parts_of_d import PARTS, PartsOfD, fit_parts
from reports.fits.slope import Slope
from reports.frontier import FRONTIER
from reports.frontier_answer import FrontierFit
from reports.law import Fits, KindFit
from reports.measures import RADIUS, STABILITY
from reports.numbers import Number, Sentence
from reports.recipes import in_words, recipe_of, recipe_slopes
from reports.sections.section import Section, fill
from reports.sides import (
    AT_LAW,
    NAMES,
    Sided,
    place_of,
    place_sentence,
    sided_kind,
    sided_searches,
    taken_sentence,
)

SIDES = ("whole", "below", "above")
MEASURED = {"radius": FRONTIER, "plain": RADIUS}
"""Column of the radii → the column of rows that it was made of."""


class SideRow(NamedTuple):
    """The slopes of one quantity and recipe, by side: numbers, or why there is no slope."""

    quantity: str
    recipe: str
    sides: dict[str, dict[str, Number]]
    failures: dict[str, str]


class Table(NamedTuple):
    """The slopes of one kind, or of the searches on one problem. said: their range over recipes,
    where their sides are parted, and what plain training reaches of a search."""

    kind: str
    said: list[Sentence]
    rows: list[SideRow]


class PartsRow(NamedTuple):
    """The exponents of one kind and recipe."""

    kind: str
    recipe: str
    numbers: dict[str, Number]
    failure: str


def section(evidence: Evidence, fits: Fits) -> Section | None:
    judged = [fit for fit in fits.kinds if fit.judged]
    places = {fit.kind: place_of(fit) for fit in judged}
    tables, parts = [], []
    for fit in judged:
        rows = fit_rows(evidence.trials, fit.kind)
        own = _parts_rows(fit.kind, rows)
        table = _table(fit, rows, places, bool(own))
        if table is not None:
            tables.append(table)
        parts += own
    with_tables = {table.kind for table in tables}
    tables += [
        _searches(fit, places.get(fit.problem, AT_LAW))
        for fit in fits.frontier
        if fit.problem in with_tables or _of_windows(evidence, fit)
    ]
    if not tables and not parts:
        return None

    numbers = [number for table in tables for number in _numbers_of(table)]
    numbers += [number for row in parts for number in row.numbers.values()]
    html = fill("recipes.html.j2", tables=tables, parts=parts, sides=SIDES, names=PARTS)
    return Section("recipes", "Slopes over recipes", html, numbers)


def range_sentence(kind: str, slopes: dict[str, Slope]) -> Sentence:
    """Return the range of a kind's slopes over recipes, for any place that states its slope."""
    least, most = (end(slopes, key=lambda name: slopes[name].slope) for end in (min, max))

    def number(name: str, recipe: str) -> Number:
        how = f"{name} slope of log {STABILITY} against log p over the kind's recipes"
        slope = slopes[recipe]
        return Number(f"recipe:{kind}:{name}", slope.slope, how, slope.trials, "signed")

    parts = {
        "least": number("least", least),
        "most": number("most", most),
        "recipes": str(len(slopes)),
        "words": in_words(slopes),
    }
    return Sentence("Slopes of S from {least} to {most} over {recipes} recipes ({words}).", parts)


def _table(
    fit: KindFit, rows: pd.DataFrame, places: dict[str, float], parts_vary: bool
) -> Table | None:
    """Return the table of one kind; None where it has one recipe and d does not vary by its parts.

    places: kind → where its sides would be parted by itself. A kind that stops at the noise has the
    name of its problem.
    """
    slopes = recipe_slopes(rows, STABILITY)
    if len(slopes) < 2 and not (slopes and parts_vary):
        return None
    problem = str(rows["problem"].iloc[0])
    place = places.get(problem, places[fit.kind])
    leads = fit.kind == problem or problem not in places
    said = [range_sentence(fit.kind, slopes)] if len(slopes) > 1 else []
    said.append(place_sentence(fit) if leads else taken_sentence(fit.kind, place))
    return Table(fit.kind, said, [_side_row(fit.kind, own) for own in sided_kind(fit, rows, place)])


def _of_windows(evidence: Evidence, fit: FrontierFit) -> bool:
    """Return whether the searches are those of models on windows of tokens."""
    searches = evidence.frontier
    first = searches.loc[searches["problem"].eq(fit.problem), "config_json"].iloc[0]
    return "context" in json.loads(first)


def _searches(fit: FrontierFit, place: float) -> Table:
    """Return the table of the searches on one problem. place: of its plain training."""
    said = [taken_sentence(f"{fit.problem}:r*", place, window=True)]
    if fit.plain is not None:
        share = Sentence(
            "Plain training reaches {share} of r* on the same cells.", {"share": plain_share(fit)}
        )
        said.append(share)
    rows = [_side_row(fit.problem, own) for own in sided_searches(fit, place)]
    return Table(f"{fit.problem}, most robust fits found", said, rows)


def _side_row(kind: str, own: Sided) -> SideRow:
    measure = MEASURED.get(own.column, own.column)
    part = "" if own.column == STABILITY else f":{NAMES[own.column]}"
    slopes = own.slopes._asdict()
    return SideRow(
        NAMES[own.column],
        own.recipe or ("best of all" if own.column in MEASURED else "no recipe named"),
        {
            side: slope_numbers(f"recipe:{kind}:{own.recipe}{part}:{side}", slope, measure)
            for side, slope in slopes.items()
            if not slope.failure
        },
        {side: slope.failure for side, slope in slopes.items() if slope.failure},
    )


def _numbers_of(table: Table) -> list[Number]:
    numbers = [number for sentence in table.said for number in sentence.numbers()]
    shown = ("b", "low", "high", "cells", "curves")
    for row in table.rows:
        numbers += [of_side[name] for of_side in row.sides.values() for name in shown]
    return numbers


def _parts_rows(kind: str, rows: pd.DataFrame) -> list[PartsRow]:
    """Return a row for each recipe of a kind in which context and d_in vary."""
    found = []
    for recipe, own in rows.groupby(rows["config_json"].map(recipe_of)):
        fitted = fit_parts(own, STABILITY)
        if fitted is not None:
            numbers = _parts_numbers(f"recipe:{kind}:{recipe}:parts", fitted)
            found.append(PartsRow(kind, str(recipe), numbers, fitted.failure))
    return found


def _parts_numbers(key: str, fitted: PartsOfD) -> dict[str, Number]:
    figures = {"b": fitted.b, "cells": fitted.cells, "curves": fitted.curves}
    for part, ratio in fitted.ratios.items():
        figures[f"{part}/b"] = ratio
    for part, (value, low, high) in fitted.differences.items():
        figures |= {f"{part} - b": value, f"{part} - b low": low, f"{part} - b high": high}

    how = (
        "least squares on log stability_attack_mean against log p, log n, log context, log d_in"
        " over cells past the onset"
    )
    styles = {"cells": "int", "curves": "int"}
    return {
        name: Number(
            f"{key}:{name}", value, f"{name}; {how}", fitted.trials, styles.get(name, "signed")
        )
        for name, value in figures.items()
        if np.isfinite(value)
    }
