"""Say where the uncertainty of a slope comes from: an uncertainty budget.

    for part in budget(rows, slope, filtered, column): part.name, part.sd, part.share

Every part is a standard deviation of the slope. What the rows cannot tell has None there, which the
page shows as "not measured", never as 0.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.fits.slope import Slope
from reports.measures import RADIUS, STABILITY
from reports.recipes import recipe_slopes

POINT_ERRORS = {STABILITY: "stability_attack_se", RADIUS: "training_radius_se"}
"""Measure → the column with its standard error over points."""


class Part(NamedTuple):
    """One source of uncertainty. sd: standard deviation of the slope that it brings, None where the
    rows cannot tell. share: of the summed variances of the sources that they can."""

    name: str
    sd: float | None
    share: float | None = None


def budget(rows: pd.DataFrame, error: float, filtered: list[Slope], column: str) -> list[Part]:
    """Return the parts of the uncertainty of a kind's slope of `column`.

    rows: those fitted. error: the slope's standard error. filtered: the slopes of all filters.
    seeds: spread of log y between the seeds of a cell, through the least-squares slope, less that
    of the points. points: standard errors over points, through the same. curves: what the standard
    error holds beyond both, so that the slopes of curves differ or the law bends. recipe: standard
    deviation over the recipes' slopes. filter: the same over the filters.
    """
    used = rows[rows[column] > 0]
    seeds_and_points = _seed_variance(used, column)
    points = _point_variance(used, column)
    seeds = None
    if seeds_and_points is not None:
        seeds = max(seeds_and_points - (points or 0.0), 0.0)
    inner = seeds_and_points if seeds_and_points is not None else points

    recipes = [slope.slope for slope in recipe_slopes(rows, column).values()]
    kept = [slope.slope for slope in filtered if not slope.failure]
    variances = {
        "seeds": seeds,
        "points": points,
        "curves": None if inner is None else max(error**2 - inner, 0.0),
        "recipe": float(np.var(recipes, ddof=1)) if len(recipes) > 1 else None,
        "filter": float(np.var(kept, ddof=1)) if len(kept) > 1 else None,
        "search gap": None,
        "attack gap": None,
    }
    total = sum(v for v in variances.values() if v is not None)
    return [
        Part(name, None if v is None else v**0.5, v / total if v is not None and total else None)
        for name, v in variances.items()
    ]


def _weights(used: pd.DataFrame) -> pd.Series:
    """Return by how much each row's log y moves the mean over curves of their least-squares
    slopes."""
    x = used["p"].astype(float).map(np.log)
    dx = x - x.groupby(used["curve"]).transform("mean")
    squares = (dx**2).groupby(used["curve"]).transform("sum")
    sloped = squares > 0
    curves = used.loc[sloped, "curve"].nunique()
    return (dx / squares).where(sloped, 0.0) / max(curves, 1)


def _seed_variance(used: pd.DataFrame, column: str) -> float | None:
    """Return the slope's variance from the spread within cells; None without two seeds in any."""
    log_y = pd.Series(np.log(used[column].to_numpy(float)), index=used.index)
    within = log_y - log_y.groupby(used["cell"]).transform("mean")
    freedom = len(used) - used["cell"].nunique()
    if freedom < 1:
        return None
    squares = float(np.square(within.to_numpy()).sum())
    return float((_weights(used) ** 2).sum()) * squares / freedom


def _point_variance(used: pd.DataFrame, column: str) -> float | None:
    """Return the slope's variance from finitely many points; None where a row lacks the standard
    error over points."""
    errors = POINT_ERRORS.get(column)
    if errors is None or errors not in used or used.empty or used[errors].isna().any():
        return None
    relative = (used[errors] / used[column]).astype(float)
    return float((_weights(used) ** 2 * relative**2).sum())
