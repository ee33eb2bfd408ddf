"""The slope of a measure against size, log y = a_curve + b·log p, over the cells of one kind.

fit = fit_slope(rows, column)
fits = fit_together({kind: rows, …}, column)
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t

from reports.fits.cells import cells_of, members_of, with_value
from reports.fits.random_slope import (
    LEVEL,
    OWN_CURVES,
    POOLED_CURVES,
    CurveSlopes,
    Pool,
    curve_slopes,
    mean_slope,
    pool_spread,
    sloped,
)

__all__ = ["LEVEL", "REPLICATES", "SEED", "Slope", "difference", "fit_slope", "fit_together"]

Interval = tuple[float, float, float]
"""An estimate and the ends of its interval."""

REPLICATES = 2000
SEED = 20210526
"""Of bootstraps, so that the same rows give the same report."""


class Slope(NamedTuple):
    """b with its interval, or the reason why there is none (then slope, low and high are NaN).

    held_out: typical factor, exp(RMS log error), by which the fit to all but each curve's largest
    size misses that size. smallest and largest: slopes of the single curves. dropped: rows whose
    value is not positive, which a logarithm cannot take. error: standard error of b; the interval
    is Student's t with `freedom`. tau: estimated standard deviation of the curves' true slopes.
    pooled: tau comes from several kinds, because this one has too few curves. of_curves: curve →
    its slope and Σ w·(x − mean x)². noise: variance of a cell's log y around its curve's line,
    with `noise_freedom` degrees of freedom.
    """

    slope: float
    low: float
    high: float
    cells: int
    curves: int
    dropped: int
    held_out: float
    smallest: float
    largest: float
    trials: tuple[str, ...]
    failure: str = ""
    error: float = float("nan")
    freedom: float = float("nan")
    tau: float = float("nan")
    pooled: bool = False
    of_curves: dict[str, tuple[float, float]] = {}
    noise: float = float("nan")
    noise_freedom: int = 0

    @property
    def leverage(self) -> float:
        """Return each curve's share of the slope: all have the same."""
        return 1 / self.curves


class _Measured(NamedTuple):
    """The cells of one kind that have a positive value of a measure: log p, mean log value and
    number of trials, (K,) each; the positions and names of the curves with two sizes; and their
    slopes."""

    x: np.ndarray
    y: np.ndarray
    w: np.ndarray
    curves: list[np.ndarray]
    names: list[str]
    slopes: CurveSlopes
    dropped: int
    trials: tuple[str, ...]


def fit_slope(rows: pd.DataFrame, column: str) -> Slope:
    """Fit one slope. rows: columns trial_id, cell, curve, p and `column`.

    Objective: least squares on natural logarithms for each curve, every trial the same weight, then
    the mean over curves, every curve the same weight. Interval: `random_slope.mean_slope`.
    """
    return _fit(_measured(rows, column), None)


def fit_together(kinds: Mapping[str, pd.DataFrame], column: str) -> dict[str, Slope]:
    """Fit the slope of one measure in every kind, each given by its rows. A kind with fewer than
    three curves takes the spread of slopes that all kinds share, where together they have enough
    curves."""
    measured = {kind: _measured(rows, column) for kind, rows in kinds.items()}
    pool = pool_spread([kind.slopes for kind in measured.values()])
    return {kind: _fit(own, pool) for kind, own in measured.items()}


def _measured(rows: pd.DataFrame, column: str) -> _Measured:
    used = with_value(rows, column)
    cells = cells_of(used, column)
    x = np.log(cells["p"].to_numpy(float))
    y = cells["log_y"].to_numpy()
    w = cells["rows"].to_numpy(float)

    curves = sloped(x, members_of(cells["curve"])) if len(cells) else []
    of_cell = cells["curve"].to_numpy()
    names = [str(of_cell[own[0]]) for own in curves]
    slopes = curve_slopes(x, y, w, curves)
    dropped = len(rows) - len(used)
    return _Measured(x, y, w, curves, names, slopes, dropped, tuple(used["trial_id"]))


def _fit(kind: _Measured, pool: Pool | None) -> Slope:
    """Fit the slope of one kind. pool: the spread of slopes that several kinds share."""
    slopes = kind.slopes
    cells = len(kind.x)
    count = len(slopes.spread)
    fit = mean_slope(slopes, pool)
    if fit is None:
        nan = float("nan")
        failure = (
            f"{count} curves of at least two sizes are too few for an interval (at least"
            f" {OWN_CURVES}, or {POOLED_CURVES} over all kinds together)"
        )
        of_none = (nan, nan, nan)
        return Slope(*of_none, cells, count, kind.dropped, *of_none, kind.trials, failure)

    return Slope(
        float(fit.slope),
        float(fit.low),
        float(fit.high),
        cells,
        count,
        kind.dropped,
        held_out=_largest_held_out(kind.x, kind.y, kind.w, kind.curves),
        smallest=float(slopes.slopes.min()),
        largest=float(slopes.slopes.max()),
        trials=kind.trials,
        error=float(fit.error),
        freedom=fit.freedom,
        tau=float(fit.tau),
        pooled=fit.pooled,
        of_curves={
            name: (float(b), float(spread))
            for name, b, spread in zip(kind.names, slopes.slopes, slopes.spread, strict=True)
        },
        noise=float(slopes.noise),
        noise_freedom=slopes.freedom,
    )


def difference(one: Slope, other: Slope, level: float) -> Interval:
    """Return how much steeper `other` is than `one`, with an interval. `other` is fitted to a part
    of the cells of `one`; NaN where the cells leave no noise to judge by.

    The curves that both have count, each the same. A curve's slope from some of its cells less
    that from all of them has the variance noise·(1/spread of some − 1/spread of all), because the
    latter is the best estimate from all (Hausman 1978); how slopes differ from curve to curve does
    not matter.
    """
    both = [(one.of_curves[name], found) for name, found in other.of_curves.items()]
    if not both or not one.noise_freedom:
        nan = float("nan")
        return nan, nan, nan
    apart = float(np.mean([some[0] - whole[0] for whole, some in both]))
    added = sum(max(1 / some[1] - 1 / whole[1], 0.0) for whole, some in both)
    error = (one.noise * added) ** 0.5 / len(both)
    half = float(t.ppf((1 + level) / 2, one.noise_freedom)) * error
    return apart, apart - half, apart + half


def _largest_held_out(
    x: np.ndarray, y: np.ndarray, w: np.ndarray, curves: list[np.ndarray]
) -> float:
    """Fit without each curve's largest size and predict that size. Return exp(RMS log error), NaN
    when too little is left."""
    kept = [own[x[own] < x[own].max()] for own in curves]
    slopes = curve_slopes(x, y, w, kept).slopes
    if not len(slopes):
        return float("nan")

    errors = []
    for own, known in zip(curves, kept, strict=True):
        asked = own[x[own] == x[own].max()]
        if len(known):
            level = np.average(y[known] - slopes.mean() * x[known], weights=w[known])
            errors += list(y[asked] - level - slopes.mean() * x[asked])
    return float(np.exp(np.sqrt(np.mean(np.square(errors)))))
