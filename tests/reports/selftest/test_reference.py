"""The self-test's reference analyst keeps its error rate and is never weaker than the report.

Run alone: python -m pytest tests/reports/selftest/test_reference.py
"""

import numpy as np
import pandas as pd
import pytest

from reports.selftest.designs import ON_TEXT, Spread
from reports.selftest.reference import covariance, law_power
from reports.selftest.truths import TRUTHS
from tests.benchmarks.selftest_reference import intervals_of, variances

ORDER = TRUTHS[0]


def cells(*sizes: int) -> pd.DataFrame:
    """Return one curve for each number of sizes, at n = 100, 200, …; sizes double."""
    rows = [
        {"curve": f"{n}", "p": 1000.0 * 2**i, "n": n, "d": 10, "seeds": 2}
        for n, count in zip((100, 200, 300, 400), sizes, strict=False)
        for i in range(count)
    ]
    return pd.DataFrame(rows)


def test_it_keeps_its_error_rate_and_is_more_powerful_where_curves_differ():
    table = cells(2, 3, 6)
    known = variances(table, ON_TEXT)
    slopes = np.sqrt(known) * np.random.default_rng(0).standard_normal((40_000, 3))
    found = intervals_of(slopes, known)
    errors = {name: float((np.abs(b) > half).mean()) for name, (b, half) in found.items()}
    assert errors["weighted, t"] == pytest.approx(0.05, abs=0.005)
    assert errors["mean, t"] < 0.055

    widths = {name: float(np.median(half)) for name, (_, half) in found.items()}
    assert widths["weighted, t"] < 0.8 * widths["mean, t"]


def test_with_equal_curves_it_is_the_plain_mean():
    known = variances(cells(4, 4, 4), ON_TEXT)
    slopes = np.random.default_rng(1).standard_normal((10, 3))
    found = intervals_of(slopes, known)
    for plain, weighted in zip(found["mean, t"], found["weighted, t"], strict=True):
        assert weighted == pytest.approx(plain)


def test_the_power_is_that_of_the_weighted_test():
    table = cells(6, 6, 6, 6)
    known = variances(table, ON_TEXT)
    slopes = np.sqrt(known) * np.random.default_rng(2).standard_normal((40_000, 4))
    b, half = intervals_of(slopes, known)["weighted, t"]
    told = float(((np.abs(b) <= half) & (half < 0.15)).mean())
    assert law_power(table, ON_TEXT, ORDER, freedom=3) == pytest.approx(told, abs=0.02)


def test_seeds_that_err_together_correlate_the_cells_of_a_curve_alone():
    cov = covariance(cells(2, 2), Spread(slope=0, level=0, cell=0.1, shared=0.2, seed=0))
    assert cov[0, 1] == pytest.approx(0.02) and cov[0, 2] == 0
    assert cov[0, 0] == pytest.approx(0.03)
