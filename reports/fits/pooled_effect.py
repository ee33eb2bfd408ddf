"""Pool one effect over several kinds of model, and control the error rate of several tests.

    pooled = pool_effects(effects, errors, freedoms, groups)
    pooled.effect, pooled.low, pooled.high, pooled.p, pooled.spread

Kinds of one group share inputs and seeds, so their errors count as one and do not average out.
Groups are independent. Every kind has the same say: its standard error comes from few curves, and
weights made of such errors follow whichever kind happens to look certain.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t

LEVEL = 0.95
SMALLEST_ERROR = 1e-12
"""Made-up effects may have no error at all, and no degrees of freedom could be weighed then."""


class PooledEffect(NamedTuple):
    """A mean effect with its 95 % interval.

    p: two-sided, of the mean being 0. spread: τ, the standard deviation of the true effects over
    kinds. freedom: degrees of freedom of the interval.
    """

    effect: float
    low: float
    high: float
    p: float
    spread: float
    freedom: float
    kinds: int


def pool_effects(
    effects: Sequence[float] | np.ndarray,
    errors: Sequence[float],
    freedoms: Sequence[float],
    groups: Sequence[str],
) -> PooledEffect:
    """Return the mean effect over K ≥ 1 kinds. effects, their standard errors ≥ 0, the degrees of
    freedom of these, and the group of each kind: (K,) each.

    τ² is the variance of the effects less the mean variance of their errors (Hedges 1983), at least
    0. Variance of the mean: that of the errors, fully dependent within a group, plus τ²/K. The
    interval is a t interval with Satterthwaite's degrees of freedom: the smallest of a kind's for
    the errors, K − 1 for τ.
    """
    y = np.asarray(effects, float)
    error = np.maximum(errors, SMALLEST_ERROR)
    k = len(y)
    effect = float(y.mean())
    spread2 = max(0.0, float(y.var(ddof=1) - (error**2).mean())) if k > 1 else 0.0

    names = np.asarray(groups)
    within = sum((float(error[names == name].sum()) / k) ** 2 for name in set(groups))
    between = spread2 / k
    freedom = float(min(freedoms))
    if between > 0:
        freedom = (within + between) ** 2 / (within**2 / freedom + between**2 / (k - 1))

    scale = float(np.sqrt(within + between))
    half = float(t.ppf((1 + LEVEL) / 2, freedom)) * scale
    p = float(2 * t.sf(abs(effect) / scale, freedom))
    return PooledEffect(effect, effect - half, effect + half, p, spread2**0.5, freedom, k)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's method (1979): rejecting those ≤ α keeps the probability
    of any false rejection at α at most, however the tests depend on each other."""
    order = np.argsort(p_values)
    remaining = len(p_values) - np.arange(len(p_values))
    adjusted = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values)[order] * remaining))
    result = np.empty(len(p_values))
    result[order] = adjusted
    return [float(p) for p in result]
