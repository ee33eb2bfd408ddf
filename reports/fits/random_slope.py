"""The mean slope of several curves whose slopes differ by chance, and an interval that covers it.

Curve j has y = a_j + (b + u_j)·x + noise, with u_j of standard deviation τ. The estimate of b is
the plain mean of the curves' own slopes, so that each curve has the same say, however many cells
or however wide a range it has. Its interval is Student's t on those slopes, with one degree of
freedom less than there are curves. It needs neither τ nor the noise to be known or equal: unequal
variances make a t interval of independent normal values longer, not shorter (Benjamini 1983). A
weighted mean (REML) would be somewhat narrower where curves differ in range and τ is near 0, and
covers too little from three curves, where τ is often estimated as 0.

One or two curves say too little about τ. They take the spread of slopes over several kinds,
`pool_spread`, where there is one.

Arrays may have leading dimensions, (..., C): many simulated data sets at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t

LEVEL = 0.95
OWN_CURVES = 3
"""Curves from which on a kind's own slopes give the interval."""
POOLED_CURVES = 6
POOLED_FREEDOM = 3
"""Curves in all, and degrees of freedom over kinds, from which on a pooled spread counts."""


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
    """The spread of slopes that several kinds share."""

    variance: np.ndarray
    """(...) τ², before it is held to be at least 0."""
    total: np.ndarray
    """(...) variance of a slope around its kind's mean: τ² and what the noise adds."""
    noise: np.ndarray
    """(...) noise variance."""
    freedom: int
    curves: int


class MeanSlope(NamedTuple):
    """The mean slope (...) with its standard error, 95 % interval, and τ."""

    slope: np.ndarray
    error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    tau: np.ndarray
    freedom: int
    pooled: bool


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
    for own in curves:
        if len(own) < 2:
            continue
        weight = w[own] / w[own].sum()
        dx = x[own] - weight @ x[own]
        dy = y[..., own] - (y[..., own] @ weight)[..., None]
        spread = w[own] @ dx**2
        if spread <= 1e-12:
            continue
        slope = dy @ (w[own] * dx) / spread
        slopes.append(slope)
        spreads.append(spread)
        residual = residual + (w[own] * (dy - slope[..., None] * dx) ** 2).sum(-1)
        freedom += len(own) - 2
    stacked = np.stack(slopes, axis=-1) if slopes else np.zeros((*y.shape[:-1], 0))
    return CurveSlopes(stacked, np.array(spreads), residual, freedom)


def pool_spread(kinds: Sequence[CurveSlopes]) -> Pool | None:
    """Return the spread of slopes around their kinds' means; None where there are too few curves.

    τ² = Σ (b_j − mean of its kind)² over its degrees of freedom, less the mean variance that the
    noise gives a slope (the unweighted estimate of Hedges 1983, over kinds).
    """
    kinds = [kind for kind in kinds if kind.slopes.shape[-1]]
    curves = sum(kind.slopes.shape[-1] for kind in kinds)
    freedom = curves - len(kinds)
    within = sum(kind.freedom for kind in kinds)
    if curves < POOLED_CURVES or freedom < POOLED_FREEDOM or not within:
        return None

    noise = sum((kind.residual for kind in kinds), np.zeros(())) / within
    squares = np.zeros(())
    sampling = np.zeros(())
    for kind in kinds:
        count = kind.slopes.shape[-1]
        squares = squares + kind.slopes.var(axis=-1) * count
        # what the noise alone adds to these squares
        sampling = sampling + noise * (1 - 1 / count) * (1 / kind.spread).sum()
    total = squares / freedom
    return Pool(total - sampling / freedom, total, noise, freedom, curves)


def mean_slope(curves: CurveSlopes, pool: Pool | None = None) -> MeanSlope | None:
    """Return the mean slope of a kind, from its own curves where they are enough, otherwise with
    the pooled spread; None where there is neither."""
    count = curves.slopes.shape[-1]
    if count >= OWN_CURVES:
        total = curves.slopes.var(axis=-1, ddof=1)
        sampling = curves.noise * (1 / curves.spread).mean()
        tau = np.sqrt(np.maximum(0.0, total - sampling))
        return _mean(curves, total / count, tau, count - 1, pooled=False)

    if pool is None or not count:
        return None
    # A kind may be noisier than the rest; a few cells cannot show that it is calmer.
    noise = np.maximum(pool.noise, curves.noise)
    sampling = noise * (1 / curves.spread).mean()
    # A kind with more exact slopes than the pooled ones still gets their whole variance: τ² alone,
    # a difference of two estimates, comes out near 0 by chance and covers 73 %.
    total = np.maximum(pool.variance + sampling, pool.total)
    tau = np.sqrt(np.maximum(0.0, pool.variance))
    return _mean(curves, total / count, tau, pool.freedom, pooled=True)


def _mean(
    curves: CurveSlopes, variance: np.ndarray, tau: np.ndarray, freedom: int, pooled: bool
) -> MeanSlope:
    slope = curves.slopes.mean(axis=-1)
    error = np.sqrt(variance)
    half = t.ppf((1 + LEVEL) / 2, freedom) * error
    return MeanSlope(slope, error, slope - half, slope + half, tau, freedom, pooled)
