"""Split a kind's slope by the recipe of its training: learning rate, weight decay, batch size.

The recipe is part of a finding. The slope of GPTs moves from .16 to .02 as the learning rate moves
from 3e-4 to 3e-3, so a slope at one rate is a statement about that rate.
"""

import json
from collections.abc import Iterable

import pandas as pd

from reports.fits.slope import Slope, fit_together

FIELDS = {"lr": "learning rate", "weight_decay": "weight decay", "batch_size": "batch size"}
"""Field of a configuration → its words."""


def recipe_of(config_json: str) -> str:
    """Return the words for a configuration's recipe, empty where it has no such field."""
    config = json.loads(config_json)
    return ", ".join(f"{words} {config[f]:g}" for f, words in FIELDS.items() if f in config)


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
    values: dict[str, list[float]] = {}
    for recipe in recipes:
        for part in filter(None, recipe.split(", ")):
            words, _, value = part.rpartition(" ")
            values.setdefault(words, []).append(float(value))
    phrases = []
    for words, found in values.items():
        low, high = min(found), max(found)
        phrases.append(f"{words} {low:g}" if low == high else f"{words} {low:g} to {high:g}")
    return ", ".join(phrases)
