"""The slopes of a kind below and above one p/(n·d): of stability and of the training radius, by
recipe, and of the most robust fits found beside plain training on the same cells.

The place is the knee of S where one counts, of the models that stop at the noise. Otherwise it is
p = n·d, which the law names and no row has chosen: a place that was chosen by the rows would part
the slopes by chance alone. All kinds of one problem are parted at one place.
"""

from typing import NamedTuple

import pandas as pd

from reports.fits.slope import Slope
from reports.frontier_answer import FrontierFit
from reports.law import KindFit
from reports.measures import RADIUS, STABILITY
from reports.numbers import Number, Sentence
from reports.recipes import OnSides, sided_slopes

AT_LAW = 1.0
"""p/(n·d) at which the sides are parted where no knee counts."""
NAMES = {STABILITY: "S", RADIUS: "training radius", "radius": "r*", "plain": "plain training"}
"""Column → what the table calls it."""
PLACE = ("place", "place_low", "place_high")


class Sided(NamedTuple):
    """The slopes of one quantity, by column, and recipe; the recipe is empty for searches."""

    column: str
    recipe: str
    slopes: OnSides


def place_of(fit: KindFit) -> float:
    """Return the p/(n·d) at which the kind's sides are parted."""
    return fit.forms.knee.place[0] if fit.forms.knee else AT_LAW


def place_sentence(fit: KindFit) -> Sentence:
    """Return where the sides of a kind are parted, and why there."""
    forms = fit.forms
    if not forms.broken:
        text = "The sides are parted at p = n·d, fixed beforehand. No knee was looked for: {why}."
        return Sentence(text, {"why": forms.failure})

    how = "place of the best knee, the broken form fitted to all recipes of the kind together"
    parts = {
        name: Number(
            f"recipe:{fit.kind}:{name.replace('_', ' ')}", value, f"{name}; {how}", forms.trials
        )
        for name, value in zip(PLACE, forms.broken.place, strict=True)
    }
    if forms.knee:
        return Sentence(
            "The sides are parted at p/(n·d) = {place} ({place_low} to {place_high}): the knee"
            " counts by the rule of the law's chapter.",
            parts,
        )
    return Sentence(
        "No knee is claimed, so the sides are parted at p = n·d, fixed beforehand. The best place"
        " of a knee would be p/(n·d) = {place} ({place_low} to {place_high}).",
        parts,
    )


def taken_sentence(key: str, place: float, window: bool = False) -> Sentence:
    """Return that a table's sides are parted where those of the models are that stop at the noise.
    window: only the window of the frontier enters."""
    how = "where the models of the problem that stop at the noise are parted, else 1"
    parts = {"place": Number(f"recipe:{key}:place", place, how)}
    text = "The sides are parted at p/(n·d) = {place}, as where training stops at the noise."
    return Sentence(text + (" Only cells of the frontier's window enter." if window else ""), parts)


def sided_kind(fit: KindFit, rows: pd.DataFrame, place: float) -> list[Sided]:
    """Return the slopes of S, and of the training radius where it says something, by recipe.

    rows: those of the kind that enter fits.
    """
    columns = [STABILITY]
    verdict = fit.verdicts.get(RADIUS)
    if verdict is not None and not verdict.slope.failure:
        columns.append(RADIUS)
    return [
        Sided(column, recipe, slopes)
        for column in columns
        for recipe, slopes in sided_slopes(rows, column, place).items()
    ]


def sided_searches(fit: FrontierFit, place: float) -> list[Sided]:
    """Return the slopes of r*, over the cells of its window, and of the training radius of plain
    training on the same cells."""
    rows = fit.rows[fit.rows["window"]].assign(config_json="{}")
    rows = rows.rename(columns={"d": "d_ambient"})
    found = []
    for column, ids in (("radius", "trial_id"), ("plain", "plain_id")):
        own = rows.assign(trial_id=rows[ids])
        for slopes in sided_slopes(own, column, place).values():
            found.append(Sided(column, "", OnSides(*map(_flat, slopes))))
    return found


def _flat(slope: Slope) -> Slope:
    """Return the slope with its trials one by one: a radius may come from several."""
    return slope._replace(trials=tuple(trial for own in slope.trials for trial in own))
