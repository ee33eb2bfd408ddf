"""Budgets' curves: the minimum and the exponent of planted surfaces come back, intervals hold them,
and where there is no minimum or no interval the reason is said.

Run alone: python -m pytest tests/reports/fits/test_isoflop.py
"""

import numpy as np
import pytest

from reports.fits.isoflop import fit_budgets, size_exponent, surface_best
from reports.fits.scaling import Scaling, fit_scaling
from tests.benchmarks.isoflop import TRUTHS, Ladder, ladder, ours, score


def drawn(truth: int = 0, sizes: int = 7, noise: float = 0.0, seed: int = 0) -> Ladder:
    return ladder(TRUTHS[truth], sizes, 16, noise, np.random.default_rng(seed))


@pytest.mark.slow
@pytest.mark.parametrize("truth", range(4), ids=lambda i: TRUTHS[i].name)
def test_exact_surfaces_give_their_minima_and_exponent(truth: int):
    runs = drawn(truth)
    budgets = fit_budgets(runs.n, runs.d, runs.loss, runs.budget)
    assert [budget.sizes for budget in budgets] == [7] * 4

    for budget, best in zip(budgets, runs.best, strict=True):
        assert np.log(budget.best.value) == pytest.approx(best, abs=1e-4)
        assert budget.best.low <= budget.best.value <= budget.best.high < 1.02 * budget.best.low
        own = budget.at(runs.n[budget.runs])
        assert own == pytest.approx(runs.loss[budget.runs], rel=1e-6)
        assert budget.loss < own.min()

    exponent = size_exponent(budgets)
    assert exponent is not None and exponent.value == pytest.approx(runs.exponent, abs=1e-3)


@pytest.mark.slow
def test_intervals_hold_the_truth_where_exponents_differ():
    rng = np.random.default_rng(5)
    runs = [ladder(TRUTHS[3], 7, 64, 0.005, rng) for _ in range(20)]
    found = score([ours(own) for own in runs], runs)
    assert found.found == 1 and found.held >= 0.85 and found.held_a >= 0.85
    assert abs(found.bias) < 0.03


def test_noise_widens_the_interval():
    quiet, loud = (ours(drawn(noise=noise)).best for noise in (0.001, 0.004))
    assert (np.ptp(loud[:, 1:], axis=1) > 2 * np.ptp(quiet[:, 1:], axis=1)).all()


def test_runs_off_their_budgets_compute_are_put_right():
    runs = drawn()
    off = runs.d * np.where(np.arange(len(runs.d)) % 2, 1.1, 0.9)
    loss = TRUTHS[0].surface(runs.n, off)
    budgets = fit_budgets(runs.n, off, loss, runs.budget)
    exponent = size_exponent(budgets)
    assert exponent is not None and exponent.value == pytest.approx(runs.exponent, abs=1e-3)


@pytest.mark.slow
def test_the_surface_gives_the_same_minima():
    runs = drawn(noise=0.001)
    fit = fit_scaling(runs.n, runs.d, runs.loss)
    assert isinstance(fit, Scaling)
    for best, compute in zip(runs.best, 1e19 * 4.0 ** np.arange(4), strict=True):
        low, high = (np.log(end) for end in surface_best(fit, compute)[1:])
        assert low < best < high < low + 1


@pytest.mark.parametrize("beyond", [0.05, 20.0])
def test_a_minimum_beyond_the_sizes_is_said(beyond: float):
    runs = drawn()
    n = runs.n * beyond
    loss = TRUTHS[0].surface(n, runs.d / beyond)
    budgets = fit_budgets(n, runs.d / beyond, loss, runs.budget)
    assert {budget.failure for budget in budgets} == {"the minimum lies beyond the sizes tried"}
    assert size_exponent(budgets) is None and all(np.isnan(b.best.value) for b in budgets)


def test_a_curve_that_bends_down_has_no_minimum():
    runs = drawn()
    budgets = fit_budgets(runs.n, runs.d, 10 - runs.loss, runs.budget)
    assert {own.failure for own in budgets} == {"the loss has no minimum between its ends"}


def test_three_sizes_leave_nothing_to_judge_the_noise_by():
    runs = drawn(sizes=3)
    budgets = fit_budgets(runs.n, runs.d, runs.loss, runs.budget)
    assert all("three sizes" in own.note and np.isnan(own.best.low) for own in budgets)
    exponent = size_exponent(budgets)
    assert exponent is not None and np.isnan(exponent.low)


def test_noise_as_large_as_the_curve_leaves_no_interval():
    runs = drawn(sizes=5, noise=0.1, seed=2)
    budgets = fit_budgets(runs.n, runs.d, runs.loss, runs.budget)
    assert all(own.failure or "cannot be told from 0" in own.note for own in budgets)


def test_seeds_weigh_no_cell_more_than_another():
    runs = drawn(noise=0.002)
    repeated = [np.append(v, np.repeat(v[:1], 5)) for v in runs[:4]]
    twice, once = fit_budgets(*repeated), fit_budgets(*runs[:4])
    assert twice[0].best == pytest.approx(once[0].best, rel=1e-9)


def test_fewer_than_three_sizes_are_no_budget():
    runs = drawn(sizes=2)
    assert fit_budgets(*runs[:4]) == []
