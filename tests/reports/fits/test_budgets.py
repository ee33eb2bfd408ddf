"""Budgets from logged compute: jitter and runs in between neither chain budgets nor split them.

Run alone: python -m pytest tests/reports/fits/test_budgets.py
"""

import numpy as np
import pytest

from reports.fits.budgets import budgets_of
from tests.benchmarks.isoflop import whole_budgets


def test_budgets_are_numbered_by_compute_and_runs_between_them_stand_alone():
    compute = np.array([1.0, 8.0, 1.02, 2.9, 1.01, 8.1, 8.2])
    assert budgets_of(compute).tolist() == [0, 2, 0, 1, 0, 2, 2]


def test_equal_compute_is_one_budget():
    assert budgets_of(np.full(4, 1e18)).tolist() == [0, 0, 0, 0]
    assert budgets_of(np.array([3.0])).tolist() == [0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("budgets", "step", "jitter", "strays"),
    [(26, 1.2, 0.02, 0), (7, 1.5, 0.02, 8), (7, 3.0, 0.02, 8), (5, 2.06, 0.0, 0)],
)
def test_budgets_come_back_whole(budgets: int, step: float, jitter: float, strays: int):
    rng = np.random.default_rng(3)
    shares = [whole_budgets(budgets, 7, step, jitter, strays, rng) for _ in range(5)]
    assert np.mean(shares) >= 0.93


def test_a_chain_of_runs_is_no_single_budget():
    assert len(set(budgets_of(1.1 ** np.arange(40)))) > 8
