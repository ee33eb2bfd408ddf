"""95 % intervals of a fit's parameters: from the draws of the bootstrap, and by profiles for
exponents.

A profile holds one exponent at a value and fits the others. Values at which the objective rises by
no more than it rises in 95 % of draws, at the exponent that the draws were made with, make the
interval. It follows skewness and reaches the end of the range where the table does not say
otherwise.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm, t

from reports.fits.slope import LEVEL
from reports.scaling.draws import Draws, refitted
from reports.scaling.problem import Problem

STEPS = 24
"""Values of the exponent that are tried on each side of the fitted one, and again between the two
that an end of the interval lies between."""


class Ends(NamedTuple):
    low: float
    high: float


def widening(units: int, parameters: int) -> float:
    """Return the factor that a percentile interval of few units lacks: Student's quantile over the
    normal one."""
    spare = max(units - parameters, 1)
    return float(t.ppf((1 + LEVEL) / 2, spare) / norm.ppf((1 + LEVEL) / 2))


def percentile(value: np.ndarray, draws: np.ndarray, widen: float, log: bool) -> np.ndarray:
    """Return the ends, (2, ...), of the widened percentile interval of values (...) with draws
    (R, ...); about the logarithm where `log`."""
    if log:
        small = 1e-300
        ends = percentile(
            np.log(np.maximum(np.abs(value), small)),
            np.log(np.maximum(np.abs(draws), small)),
            widen,
            False,
        )
        ends = np.exp(ends)
        return np.where(value < 0, -ends[::-1], ends)
    ends = np.nanquantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return value + (ends - value) * widen


def profile(
    problem: Problem,
    minima: np.ndarray,
    cost: float,
    j: int,
    draws: Draws,
    costs: np.ndarray,
    units: int,
) -> Ends:
    """Return the ends of z[j]'s interval. minima: z (S, k) of distinct minima, the best first.
    cost: the best objective. costs: (R,) the best objective of every draw. units: independent
    units of the table."""
    best = minima[:1]
    k = best.shape[1]
    fixed = np.arange(k) == j
    held = refitted(problem, best, draws, fixed)
    allowed = np.quantile(np.maximum(held.cost - costs, 0), LEVEL) * widening(units, k) ** 2

    value = float(best[0, j])
    low, high = problem.engine.low[j], problem.engine.high[j]
    step = max(abs(value), 0.05) * 1e-3
    reach = step * np.concatenate([[0], np.geomspace(1, 1e5, STEPS)])
    ends = []
    for bound, outwards in ((low, value - reach), (high, value + reach)):
        ends.append(_crossing(problem, minima, cost + allowed, j, np.clip(outwards, low, high)))
        if not np.isfinite(ends[-1]):
            ends[-1] = float(bound)
    return Ends(*ends)


def _crossing(
    problem: Problem, minima: np.ndarray, limit: float, j: int, tried: np.ndarray
) -> float:
    """Return where the profile passes the limit, going outwards along `tried` from the fit itself;
    infinity where it does not."""
    costs, best = _held_at(problem, minima, j, tried)
    above = np.flatnonzero(costs[1:] > limit)
    if not len(above):
        return np.inf
    outside = int(above[0]) + 1

    finer = np.linspace(tried[outside - 1], tried[outside], STEPS)
    costs, _ = _held_at(problem, np.vstack([best[outside - 1 : outside + 1], minima]), j, finer)
    above = np.flatnonzero(costs > limit)
    i = int(above[0]) if len(above) else STEPS - 1
    if i == 0:
        return float(finer[0])
    share = (limit - costs[i - 1]) / max(costs[i] - costs[i - 1], 1e-300)
    return float(finer[i - 1] + np.clip(share, 0, 1) * (finer[i] - finer[i - 1]))


def _held_at(
    problem: Problem, minima: np.ndarray, j: int, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least objective (V,), and where, (V, k), with z[j] held at each of V values, from
    every minimum."""
    starts = np.repeat(minima[None], len(values), axis=0)
    starts[:, :, j] = values[:, None]
    count, each, k = starts.shape
    found = problem.refit(starts.reshape(-1, k), fixed=np.arange(k) == j)
    costs = found.cost.reshape(count, each)
    least = costs.argmin(1)
    places = found.z.reshape(count, each, k)[np.arange(count), least]
    return costs.min(1), places
