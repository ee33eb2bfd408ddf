"""Pool one effect over several kinds of model, and control the error rate of several tests.

    pooled = pool_effects(effects, errors, freedoms, groups)
    pooled.effect, pooled.low, pooled.high, pooled.p, pooled.spread

Kinds of one group share inputs and seeds, so their errors count as one and do not average out.
Groups are independent. How far the kinds truly differ, τ, is Paule and Mandel's estimate (1982).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import root_scalar
from scipy.stats import chi2, t

LEVEL = 0.95
SMALLEST_ERROR = 1e-12
"""Made-up effects without any error would have infinite weight."""


class PooledEffect(NamedTuple):
    """A mean effect with its 95 % interval.

    p: two-sided, of the mean being 0. spread: τ, the standard deviation of the true effects over
    kinds. differ_p: of all kinds having one effect (Cochran's Q). freedom: degrees of freedom of
    the interval.
    """

    effect: float
    low: float
    high: float
    p: float
    spread: float
    differ_p: float
    freedom: float
    kinds: int


def pool_effects(
    effects: Sequence[float] | np.ndarray,
    errors: Sequence[float],
    freedoms: Sequence[float],
    groups: Sequence[str],
) -> PooledEffect:
    """Return the mean effect over K ≥ 1 kinds. effects, their standard errors ≥ 0, their degrees
    of freedom, and the group of each kind: (K,) each.

    Weights: 1/(error² + τ²). Variance: that of the errors, fully dependent within a group, plus
    τ²·Σw²/(Σw)². The interval is a t interval with Satterthwaite's degrees of freedom: the smallest
    of a kind's for the errors, K − 1 for τ.
    """
    y = np.asarray(effects, float)
    error = np.maximum(errors, SMALLEST_ERROR)
    k = len(y)
    spread = _paule_mandel(y, error)

    w = 1 / (error**2 + spread**2)
    w = w / w.sum()
    effect = float(w @ y)

    names = np.asarray(groups)
    within = sum(float((w * error)[names == name].sum()) ** 2 for name in set(groups))
    between = float(spread**2 * (w**2).sum())
    freedom = float(min(freedoms))
    if between > 0:
        freedom = (within + between) ** 2 / (within**2 / freedom + between**2 / (k - 1))

    scale = np.sqrt(within + between)
    half = float(t.ppf((1 + LEVEL) / 2, freedom) * scale)
    p = float(2 * t.sf(abs(effect) / scale, freedom))
    differ_p = float(chi2.sf(_q(y, error, 0.0), k - 1)) if k > 1 else float("nan")
    return PooledEffect(effect, effect - half, effect + half, p, spread, differ_p, freedom, k)


def _q(y: np.ndarray, error: np.ndarray, spread: float) -> float:
    """Return the weighted squared deviations from the weighted mean."""
    w = 1 / (error**2 + spread**2)
    return float(w @ (y - w @ y / w.sum()) ** 2)


def _paule_mandel(y: np.ndarray, error: np.ndarray) -> float:
    """Return the τ ≥ 0 at which the weighted squared deviations have their expectation, K − 1."""
    expected = len(y) - 1
    if expected == 0 or _q(y, error, 0.0) <= expected:
        return 0.0
    beyond = float(y.max() - y.min()) * np.sqrt(len(y)) + float(error.max())
    found = root_scalar(lambda spread: _q(y, error, spread) - expected, bracket=(0.0, beyond))
    return float(found.root)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's method (1979): rejecting those ≤ α keeps the probability
    of any false rejection at α at most, however the tests depend on each other."""
    order = np.argsort(p_values)
    remaining = len(p_values) - np.arange(len(p_values))
    adjusted = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values)[order] * remaining))
    result = np.empty(len(p_values))
    result[order] = adjusted
    return [float(p) for p in result]
