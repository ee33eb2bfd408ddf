"""The mean slope of several curves whose slopes differ by chance, and an interval that covers it.

Curve j has y = a_j + (b + u_j)·x + noise, with u_j of standard deviation τ. The estimate of b is
the plain mean of the curves' own slopes, so that each curve has the same say, however many cells
or however wide a range it has. Its interval is Student's t on those slopes, with one degree of
freedom less than there are curves. It needs neither τ nor the noise to be known or equal: unequal
variances make a t interval of independent normal values longer, not shorter (Benjamini 1983). A
weighted mean (REML) would be somewhat narrower where curves differ in range and τ is near 0, and
covers too little from three curves, where τ is often estimated as 0.

One or two curves say too little about τ. They take it from several kinds, `pool_spread`, where
there are enough. Such a τ is an estimate, too. Its generalised distribution (Iyer, Wang & Mathew
2004, J. Am. Stat. Assoc. 99:1060) is that of the solutions of Q(τ²) = χ², where Q is the weighted
sum of squares of the slopes around their kinds' means (Paule & Mandel 1982) and χ² a draw with its
degrees of freedom. The interval is the range that holds LEVEL of the normal deviations with these
τ and noises. Curves of unequal precision are weighed there, and the mean of a kind with far more
exact slopes than the others gets no more of their noise than they cannot exclude to be τ.

Arrays may have leading dimensions, (..., C): many simulated data sets at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import erf
from scipy.stats import chi2, t
from scipy.stats import f as f_ratio

LEVEL = 0.95
OWN_CURVES = 3
"""Curves from which on a kind's own slopes give the interval."""
POOLED_CURVES = 6
POOLED_FREEDOM = 3
"""Curves in all, and degrees of freedom over kinds, from which on a pooled spread counts."""
OTHER_NOISE = 0.05
"""Level of the two-sided F test for whether a kind has its own noise or the pooled one."""
DRAWS = 128
"""Points of the generalised distribution of τ² and the noise."""
HALVINGS = 24
"""Of an interval, to solve for τ² and for a half-width."""
LEAST_RANGE = 1e-6
"""Of log size, below which two sizes count as one."""
TINY = 1e-15
"""Noise variance of made-up curves that are exact."""


class CurveSlopes(NamedTuple):
    """The slopes of one kind's curves, and what is left over."""

    slopes: np.ndarray
    """(..., C)"""
    spread: np.ndarray
    """(C,) Σ w·(x − mean x)² of each curve: the noise variance over it is a slope's variance."""
    residual: np.ndarray
    """(...) sum of squares around all curves."""
    freedom: int
    """Degrees of freedom of the residual."""

    @property
    def noise(self) -> np.ndarray:
        """Return the noise variance (...), 0 where every curve is its own two cells."""
        return self.residual / max(1, self.freedom)


class Pool(NamedTuple):
    """The spread of slopes that several kinds share. freedom: curves less kinds. within: degrees
    of freedom of the noise."""

    kinds: tuple[CurveSlopes, ...]
    freedom: int
    within: int

    @property
    def noise(self) -> np.ndarray:
        """Return the noise variance (...) of all kinds together."""
        return sum((kind.residual for kind in self.kinds), np.zeros(())) / self.within


class MeanSlope(NamedTuple):
    """The mean slope (...) with its standard error, 95 % interval, and τ."""

    slope: np.ndarray
    error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    tau: np.ndarray
    freedom: int
    pooled: bool


def sloped(x: np.ndarray, curves: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the curves, given by the positions of their cells, that have at least two sizes.
    x: (K,) log size of each cell."""
    return [own for own in curves if len(own) > 1 and np.ptp(x[own]) > LEAST_RANGE]


def curve_slopes(
    x: np.ndarray, y: np.ndarray, w: np.ndarray, curves: Sequence[np.ndarray]
) -> CurveSlopes:
    """Return the least-squares slope of every curve that has at least two sizes.

    x, w: (K,) log size and weight of each cell; y: (..., K); curves: the positions of each curve's
    cells.
    """
    slopes = []
    spreads = []
    residual = np.zeros(y.shape[:-1])
    freedom = 0
    for own in sloped(x, curves):
        weight = w[own] / w[own].sum()
        dx = x[own] - weight @ x[own]
        dy = y[..., own] - (y[..., own] @ weight)[..., None]
        spread = w[own] @ dx**2
        slope = dy @ (w[own] * dx) / spread
        slopes.append(slope)
        spreads.append(spread)
        residual = residual + (w[own] * (dy - slope[..., None] * dx) ** 2).sum(-1)
        freedom += len(own) - 2
    stacked = np.stack(slopes, axis=-1) if slopes else np.zeros((*y.shape[:-1], 0))
    return CurveSlopes(stacked, np.array(spreads), residual, freedom)


def pool_spread(kinds: Sequence[CurveSlopes]) -> Pool | None:
    """Return the pool of the kinds that have curves; None where there are too few curves."""
    used = tuple(kind for kind in kinds if kind.slopes.shape[-1])
    curves = sum(kind.slopes.shape[-1] for kind in used)
    freedom = curves - len(used)
    within = sum(kind.freedom for kind in used)
    if curves < POOLED_CURVES or freedom < POOLED_FREEDOM or not within:
        return None
    return Pool(used, freedom, within)


def mean_slope(curves: CurveSlopes, pool: Pool | None = None) -> MeanSlope | None:
    """Return the mean slope of a kind, from its own curves where they are enough, otherwise with
    the pooled spread; None where there is neither."""
    count = curves.slopes.shape[-1]
    if count >= OWN_CURVES:
        total = curves.slopes.var(axis=-1, ddof=1)
        sampling = curves.noise * (1 / curves.spread).mean()
        tau = np.sqrt(np.maximum(0.0, total - sampling))
        freedom = count - 1
        half = t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(total / count)
        return _around_mean(curves, half, tau, freedom, pooled=False)

    if pool is None or not count:
        return None
    noises, tau2 = _distribution(pool, curves)
    sampling = (1 / curves.spread).sum() / count**2
    half = _half_width(np.sqrt(tau2 / count + noises * sampling))
    return _around_mean(curves, half, np.sqrt(np.median(tau2, -1)), pool.freedom, pooled=True)


def _around_mean(
    curves: CurveSlopes, half: np.ndarray, tau: np.ndarray, freedom: int, pooled: bool
) -> MeanSlope:
    """Return the mean slope with an interval of this half-width (...)."""
    slope = curves.slopes.mean(axis=-1)
    error = half / t.ppf((1 + LEVEL) / 2, freedom)
    return MeanSlope(slope, error, slope - half, slope + half, tau, freedom, pooled)


def _distribution(pool: Pool, own: CurveSlopes) -> tuple[np.ndarray, np.ndarray]:
    """Return DRAWS values (..., D) of `own`'s noise variance and of τ², equally likely."""
    # Richtmyer's points fill the cube evenly: multiples of irrational numbers, modulo 1
    points = (0.5 + np.arange(DRAWS)[:, None] * np.sqrt([2.0, 3.0, 5.0])) % 1
    of_tau = chi2.ppf(points[:, 0], pool.freedom)
    together = pool.noise[..., None] * (pool.within / chi2.ppf(points[:, 1], pool.within))

    def noises(kind: CurveSlopes) -> np.ndarray:
        """Return draws (..., D) of a kind's noise variance: the pooled one, unless its own differs
        from it by more than chance."""
        if not kind.freedom:
            return together
        ratio = kind.noise / np.maximum(pool.noise, TINY)
        low, high = f_ratio.ppf([OTHER_NOISE / 2, 1 - OTHER_NOISE / 2], kind.freedom, pool.within)
        alone = kind.residual[..., None] / chi2.ppf(points[:, 2], kind.freedom)
        return np.where(((ratio < low) | (ratio > high))[..., None], alone, together)

    sampling = [np.maximum(noises(kind), TINY)[..., None] / kind.spread for kind in pool.kinds]
    slopes = np.concatenate([kind.slopes for kind in pool.kinds], -1)[..., None, :]
    first = np.cumsum([0, *(kind.slopes.shape[-1] for kind in pool.kinds)])
    tau2 = _spread(slopes, np.concatenate(sampling, -1), first, of_tau)
    return noises(own), tau2


def _spread(
    slopes: np.ndarray, sampling: np.ndarray, first: np.ndarray, of_tau: np.ndarray
) -> np.ndarray:
    """Return the τ² ≥ 0 (..., D) at which the weighted sum of squares around the kinds' means is
    `of_tau` (D,), or 0 where it is less everywhere.

    slopes: (..., 1, C). sampling: (..., D, C) their variances by noise. first: the position of each
    kind's first slope, and C.
    """
    starts = first[:-1]

    def squares(tau2: np.ndarray) -> np.ndarray:
        weight = 1 / (tau2[..., None] + sampling)
        sums = np.add.reduceat(weight, starts, axis=-1)
        means = np.add.reduceat(weight * slopes, starts, axis=-1) / sums
        # Σ w·(b − mean)², expanded, would lose all digits of nearly equal slopes
        apart = slopes - np.repeat(means, np.diff(first), axis=-1)
        return (weight * apart**2).sum(-1)

    low = np.zeros(sampling.shape[:-1])
    of_kind = np.add.reduceat(slopes, starts, axis=-1) / np.diff(first)
    apart = slopes - np.repeat(of_kind, np.diff(first), axis=-1)
    high = (apart**2).sum(-1) / of_tau + low
    some = squares(low) > of_tau
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        more = squares(middle) > of_tau
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return np.where(some, high, 0.0)


def _half_width(deviations: np.ndarray) -> np.ndarray:
    """Return the h (...) within which LEVEL of the normal values lie whose standard deviations are
    the `deviations` (..., D), equally likely."""
    deviations = np.maximum(deviations, TINY)
    low = np.zeros(deviations.shape[:-1])
    high = 5 * deviations.max(-1)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        less = erf(middle[..., None] / deviations / np.sqrt(2)).mean(-1) < LEVEL
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    return high
