"""Split a kind's slope by the recipe of its training: the values of FIELDS.

The recipe is part of a finding. The slope of GPTs moves from .16 to .02 as the learning rate moves
from 3e-4 to 3e-3, so a slope at one rate is a statement about that rate.
"""

import json
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from reports.fits.slope import Slope, fit_together

FIELDS = {
    "lr": "learning rate",
    "rate_width": "falling like 1/width from width",
    "optimiser": "optimiser",
    "momentum": "momentum",
    "weight_decay": "weight decay",
    "warmup_steps": "warm-up steps",
    "init_scale": "initial scale",
    "batch_size": "batch size",
}
"""Field of a configuration → its words."""


def recipe_of(config_json: str) -> str:
    """Return the words for a configuration's recipe, empty where it has no such field."""
    config = json.loads(config_json)
    given = {words: config[field] for field, words in FIELDS.items() if field in config}
    return ", ".join(
        f"{words} {value if isinstance(value, str) else format(value, 'g')}"
        for words, value in given.items()
    )


def recipe_slopes(rows: pd.DataFrame, column: str) -> dict[str, Slope]:
    """Return the slope of every recipe among the rows of a kind that has one, in alphabetical
    order. Rows that do not name a recipe count as one.

    A recipe with few curves takes the spread of slopes over all recipes of the kind.
    """
    named = {config: recipe_of(config) for config in rows["config_json"].unique()}
    groups = rows.groupby(rows["config_json"].map(named))
    recipes = {str(recipe): own for recipe, own in groups}
    slopes = fit_together(recipes, column)
    return {recipe: slope for recipe, slope in slopes.items() if not slope.failure}


def in_words(recipes: Iterable[str]) -> str:
    """Return what recipes have in common and in what they differ, such as "learning rate 0.0003
    to 0.003"."""
    values: dict[str, set[str]] = {}
    for recipe in recipes:
        for part in filter(None, recipe.split(", ")):
            words, _, value = part.rpartition(" ")
            values.setdefault(words, set()).add(value)

    phrases = []
    for words, found in values.items():
        if words == FIELDS["optimiser"]:
            phrases.append(f"{words} {' or '.join(sorted(found))}")
            continue
        low, high = min(found, key=float), max(found, key=float)
        phrases.append(f"{words} {low}" if low == high else f"{words} {low} to {high}")
    return ", ".join(phrases)


class OnSides(NamedTuple):
    """The slopes of one recipe: of all its cells, and of those up to and above one p/(n·d)."""

    whole: Slope
    below: Slope
    above: Slope


def sided_slopes(rows: pd.DataFrame, column: str, place: float) -> dict[str, OnSides]:
    """Return the slopes of every recipe that has one, in alphabetical order. A side without enough
    sizes has a slope that says why.

    place: p/(n·d), d as in d_ambient. Recipes with few curves on a side take the spread of slopes
    over all recipes on that side.
    """
    is_below = rows["p"] <= place * rows["n"] * rows["d_ambient"]
    recipe = rows["config_json"].map(recipe_of)
    whole = recipe_slopes(rows, column)
    sides = [
        fit_together({name: rows[side & recipe.eq(name)] for name in whole}, column)
        for side in (is_below, ~is_below)
    ]
    below, above = sides
    return {name: OnSides(whole[name], below[name], above[name]) for name in whole}
