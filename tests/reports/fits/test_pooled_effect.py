"""The pooled effect of several kinds against known answers, and Holm's adjustment
by hand.

Run alone: python -m pytest tests/reports/fits/test_pooled_effect.py
"""

import numpy as np
import pytest
from scipy.stats import t

from reports.fits.pooled_effect import holm, pool_effects


def test_one_kind_keeps_its_own_interval():
    pooled = pool_effects([0.2], [0.05], [4], ["a"])
    half = t.ppf(0.975, 4) * 0.05
    assert (pooled.effect, pooled.low, pooled.high) == pytest.approx((0.2, 0.2 - half, 0.2 + half))
    assert pooled.p == pytest.approx(2 * t.sf(4, 4)) and pooled.spread == 0


def test_kinds_of_one_family_do_not_average_their_errors_out():
    """Four kinds that share inputs know no more than one; four families know twice as much."""
    same = pool_effects([0.2] * 4, [0.05] * 4, [9] * 4, ["a"] * 4)
    apart = pool_effects([0.2] * 4, [0.05] * 4, [9] * 4, list("abcd"))
    assert same.high - same.low == pytest.approx(2 * t.ppf(0.975, 9) * 0.05)
    assert apart.high - apart.low == pytest.approx((same.high - same.low) / 2)


def test_the_spread_is_what_the_errors_do_not_explain():
    """τ² is the sample variance less the errors' variance."""
    y = np.array([0.1, 0.3, 0.2, 0.5, 0.05])
    pooled = pool_effects(y, [0.05] * 5, [20] * 5, list("abcde"))
    assert pooled.spread**2 == pytest.approx(y.var(ddof=1) - 0.05**2)
    assert pooled.effect == pytest.approx(y.mean())


@pytest.mark.slow
def test_the_interval_covers_the_mean_of_kinds_that_differ():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        y = 0.1 + 0.1 * rng.standard_normal(6) + 0.03 * rng.standard_normal(6)
        pooled = pool_effects(y, [0.03] * 6, [30] * 6, list("abcdef"))
        hits += pooled.low <= 0.1 <= pooled.high
    assert 0.92 <= hits / 2000 <= 0.99


@pytest.mark.slow
def test_a_false_effect_is_found_in_at_most_a_twentieth_of_cases():
    rng = np.random.default_rng(1)
    found = sum(
        pool_effects(0.03 * rng.standard_normal(3), [0.03] * 3, [10] * 3, list("aab")).p < 0.05
        for _ in range(2000)
    )
    assert found / 2000 <= 0.05


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
