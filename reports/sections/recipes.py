"""The section "Slopes over recipes": each kind's slope by the recipe of its training, on both sides
of a knee, and how stability moves with the parts of d."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.evidence import Evidence, fit_rows
from reports.fit_numbers import slope_numbers
from reports.fits.parts_of_d import PARTS, PartsOfD, fit_parts
from reports.fits.slope import Slope
from reports.law import Fits, KindFit
from reports.measures import STABILITY
from reports.numbers import Number, Sentence
from reports.recipes import in_words, recipe_of, recipe_slopes, sided_slopes
from reports.sections.section import Section, fill

SIDES = ("whole", "below", "above")


class RecipeRow(NamedTuple):
    """The slopes of one recipe, by side: numbers, or why there is no slope."""

    recipe: str
    sides: dict[str, dict[str, Number]]
    failures: dict[str, str]


class Table(NamedTuple):
    """The recipes of one kind. `place`: the p/(n·d) that parts the sides, None where the kind's
    curves are too few to place a knee."""

    kind: str
    range: Sentence
    place: Number | None
    knee_counts: bool
    rows: list[RecipeRow]


class PartsRow(NamedTuple):
    """The exponents of one kind and recipe."""

    kind: str
    recipe: str
    numbers: dict[str, Number]
    failure: str


def section(evidence: Evidence, fits: Fits) -> Section | None:
    tables, parts = [], []
    for fit in fits.kinds:
        if not fit.judged:
            continue
        rows = fit_rows(evidence.trials, fit.kind)
        table = _table(fit, rows)
        if table is not None:
            tables.append(table)
        parts += _parts_rows(fit.kind, rows)
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
    return Sentence("Slopes from {least} to {most} over {recipes} recipes ({words}).", parts)


def _table(fit: KindFit, rows: pd.DataFrame) -> Table | None:
    """Return the table of one kind; None where it has fewer than two recipes with a slope."""
    slopes = recipe_slopes(rows, STABILITY)
    if len(slopes) < 2:
        return None

    broken = fit.forms.broken
    place = None
    if broken:
        how = "place of the best knee, the broken form fitted to all recipes of the kind together"
        value = broken.place[0]
        place = Number(f"recipe:{fit.kind}:place", value, how, fit.forms.trials)
    sided = sided_slopes(rows, STABILITY, broken.place[0] if broken else np.inf)

    listed = []
    for recipe, on_sides in sided.items():
        of_side = on_sides._asdict()
        if not broken:
            of_side = {"whole": on_sides.whole}
        listed.append(
            RecipeRow(
                recipe or "no recipe named",
                {
                    side: slope_numbers(f"recipe:{fit.kind}:{recipe}:{side}", slope, STABILITY)
                    for side, slope in of_side.items()
                    if not slope.failure
                },
                {side: slope.failure for side, slope in of_side.items() if slope.failure},
            )
        )
    return Table(
        fit.kind, range_sentence(fit.kind, slopes), place, fit.forms.knee is not None, listed
    )


def _numbers_of(table: Table) -> list[Number]:
    numbers = table.range.numbers()
    if table.place:
        numbers.append(table.place)
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
