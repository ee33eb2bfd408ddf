"""The levelling power law: exact on exact data, the best of many starts on noisy data, and
honest at its bounds.

Run alone: python -m pytest tests/reports/fits/test_saturation.py
"""

import numpy as np
import pytest
from scipy.optimize import least_squares

from reports.fits.saturation import EXPONENTS, fit_saturation

SIZES = np.geomspace(1e3, 1e6, 9)
ONES = np.ones(9)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("limit", [0.0, 0.005, 0.2])
def test_the_form_is_recovered_from_exact_values(limit, alpha):
    scale = 0.3 * SIZES[0] ** alpha
    fit = fit_saturation(SIZES, limit + scale * SIZES**-alpha, ONES)
    assert fit is not None
    assert (fit.asymptote, fit.exponent) == pytest.approx((limit, alpha), rel=1e-3, abs=2e-4)
    assert fit.at(1e5)[0] == pytest.approx(limit + scale * 1e5**-alpha, rel=1e-3)
    assert not fit.at_bound and fit.largest_miss < 1e-3
    low, high = fit.asymptote_interval()
    assert low <= limit + 1e-4 and high >= limit - 1e-4


def noisy(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.01 + 50 * SIZES**-0.8) * np.exp(0.1 * rng.standard_normal(9))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_no_start_of_a_general_search_does_better(seed):
    e = noisy(seed)
    fit = fit_saturation(SIZES, e, ONES)
    assert fit is not None

    def residuals(v):
        return (v[0] + np.exp(v[1]) * SIZES ** -v[2]) / e - 1

    starts = [
        (a, np.log(s), alpha)
        for a in (1e-3, 0.02)
        for s in (1.0, 100.0)
        for alpha in (0.2, 0.8, 2.0)
    ]
    bounds = ([0, -50, EXPONENTS[0]], [1, 50, EXPONENTS[-1]])
    best = min(least_squares(residuals, start, bounds=bounds).cost for start in starts)
    ours = 0.5 * np.sum(residuals([fit.asymptote, np.log(fit.scale), fit.exponent]) ** 2)
    assert ours <= best * (1 + 1e-4)


@pytest.mark.slow
def test_intervals_hold_the_truth_more_often_than_not():
    fits = [fit_saturation(SIZES, noisy(seed), ONES) for seed in range(12)]
    intervals = [fit.asymptote_interval() for fit in fits if fit is not None]
    assert (
        len(intervals) == 12 and np.mean([low <= 0.01 <= high for low, high in intervals]) >= 0.75
    )


def test_a_value_at_p_lies_in_its_interval_and_never_below_the_asymptote():
    fit = fit_saturation(SIZES, noisy(1), ONES)
    assert fit is not None
    value, low, high = fit.at(1e7)
    assert low <= value <= high and value >= fit.asymptote and (fit.draws[:, :2] >= 0).all()


@pytest.mark.parametrize(
    ("error", "asymptote"), [(np.full(9, 0.1), 0.1), (np.linspace(0.1, 0.2, 9), None)]
)
def test_errors_that_do_not_fall_are_a_level(error, asymptote):
    fit = fit_saturation(SIZES, error, ONES)
    assert fit is not None and fit.scale == pytest.approx(0, abs=1e-9)
    assert asymptote is None or fit.asymptote == pytest.approx(asymptote)


def test_a_pure_logarithm_sits_at_the_bound():
    fit = fit_saturation(SIZES, 1 - 0.01 * np.log(SIZES), ONES)
    assert fit is not None and fit.at_bound


@pytest.mark.slow
def test_cells_count_by_their_trials():
    e = np.array([*(0.01 + 50 * SIZES[:-1] ** -0.8), 0.1])
    heavy, light = (fit_saturation(SIZES, e, np.array([*ONES[:-1], w])) for w in (100.0, 0.01))
    assert heavy is not None and light is not None and heavy.asymptote > 2 * light.asymptote


def test_four_sizes_are_too_few():
    assert fit_saturation(SIZES[:4], noisy(0)[:4], ONES[:4]) is None
    assert fit_saturation(np.repeat(SIZES[:4], 2), np.repeat(noisy(0)[:4], 2), np.ones(8)) is None
