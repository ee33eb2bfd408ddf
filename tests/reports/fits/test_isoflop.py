"""Parabolas through budgets: the minimum that was put in, intervals that hold it, and reasons
where there is none.

Run alone: python -m pytest tests/reports/fits/test_isoflop.py
"""

import numpy as np
import pytest

from reports.fits.isoflop import budgets_of, fit_budgets, size_exponent

COMPUTE = np.geomspace(1e15, 1e18, 4)


def ladder(
    exponent: float = 0.5, sizes: int = 7, spread: float = 0.0, seed: int = 0, offset: float = 0.0
):
    """Losses 3 + 0.05·log²(N/best), best = 100·(C/1e15)^exponent thousand, sizes within e² of
    it."""
    rng, rows = np.random.default_rng(seed), []
    for c in COMPUTE:
        best = 1e5 * (c / 1e15) ** exponent
        for u in np.linspace(-2, 2, sizes) + offset:
            rows.append(
                (
                    best * np.exp(u),
                    c / 6 / (best * np.exp(u)),
                    3 + 0.05 * u * u + spread * rng.standard_normal(),
                )
            )
    n, d, loss = np.array(rows).T
    return n, d, loss


def fitted(**made):
    n, d, loss = ladder(**made)
    return fit_budgets(n, d, loss, budgets_of(6 * n * d))


@pytest.mark.parametrize("exponent", [0.3, 0.5, 0.7])
def test_exact_parabolas_give_their_minimum_and_exponent(exponent):
    budgets = fitted(exponent=exponent)
    assert [b.compute for b in budgets] == pytest.approx(COMPUTE) and all(
        b.runs.sum() == b.sizes == 7 for b in budgets
    )
    for b, c in zip(budgets, COMPUTE, strict=True):
        best = 1e5 * (c / 1e15) ** exponent
        assert b.best == pytest.approx((best, best, best), rel=1e-4) and b.loss == pytest.approx(3)
        assert b.at(np.array([best * np.e])) == pytest.approx([3.05])
    assert size_exponent(budgets) == pytest.approx((exponent,) * 3, abs=1e-4)


def test_intervals_hold_the_minimum_as_often_as_they_say():
    found = [
        (b, c)
        for seed in range(50)
        for b, c in zip(fitted(spread=0.01, seed=seed), COMPUTE, strict=True)
    ]
    held = [b.best.low <= 1e5 * (c / 1e15) ** 0.5 <= b.best.high for b, c in found if not b.note]
    assert len(held) > 150 and 0.9 <= np.mean(held) <= 0.99
    exponents = [size_exponent(fitted(spread=0.01, seed=seed)) for seed in range(50)]
    assert 0.88 <= np.mean([e is not None and e.low <= 0.5 <= e.high for e in exponents]) <= 1


@pytest.mark.parametrize(
    ("made", "failure", "note"),
    [
        ({"offset": 3.0}, "beyond the sizes tried", ""),
        ({"sizes": 3}, "", "three sizes"),
        ({"sizes": 4, "spread": 0.2, "seed": 3}, "", "cannot be told from 0"),
    ],
)
def test_why_there_is_no_minimum_or_no_interval_is_said(made, failure, note):
    budgets = fitted(**made)
    assert any(failure in b.failure and note in b.note and (b.failure or b.note) for b in budgets)
    assert all(
        np.isnan(b.best.value) == bool(b.failure)
        and np.isnan(b.best.low) == bool(b.failure or b.note)
        for b in budgets
    )


def test_a_curve_that_bends_down_has_no_minimum():
    n, d, loss = ladder()
    b, *_ = fit_budgets(n, d, 6 - loss, budgets_of(6 * n * d))
    assert b.failure == "the loss has no minimum between its ends"


def test_seeds_weigh_no_size_more_than_another():
    n, d, loss = ladder()
    n, d, loss = (np.append(v, np.repeat(v[:1], 5)) for v in (n, d, loss))
    assert fit_budgets(n, d, loss, budgets_of(6 * n * d))[0].best.value == pytest.approx(1e5)


def test_budgets_are_told_apart_by_gaps_in_compute():
    compute = np.array([1.0, 8.0, 1.02, 2.1, 1.1, 2.0, 8.3])
    assert budgets_of(compute).tolist() == [0, 2, 0, 1, 0, 1, 2]


def test_fewer_than_three_sizes_are_no_budget_and_fewer_than_two_minima_no_exponent():
    n, d, loss = ladder(sizes=2)
    assert fit_budgets(n, d, loss, budgets_of(6 * n * d)) == []
    budgets = fitted()
    two = size_exponent(budgets[:2])
    assert size_exponent(budgets[:1]) is None and two is not None and np.isnan(two.low)
