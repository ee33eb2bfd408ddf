"""Slopes, intervals and the collapse against known answers.

Run alone: python -m pytest tests/reports/fits/test_slope.py
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.evidence import fit_rows, read_evidence
from reports.fits.slope import fit_collapse, fit_slope
from reports.law import fit_all, fit_collapses
from reports.measures import STABILITY
from tests.reports.stores import make_store, power_law


def frame(rows: list[dict]) -> pd.DataFrame:
    """Rows with the columns that fits read, unfiltered."""
    t = pd.DataFrame(rows)
    t["curve"] = t["settings_json"]
    t["cell"] = t["curve"] + t["p"].astype(str)
    return t


@pytest.mark.parametrize("b", [-0.5, -0.1, 0.0, 0.2, 0.5, 1.3])
def test_an_exact_power_law_gives_its_exponent_and_no_spread(b):
    fit = fit_slope(frame(power_law(b, ns=(100, 400))), STABILITY)
    assert (fit.slope, fit.low, fit.high) == pytest.approx((b, b, b), abs=1e-9)
    assert fit.held_out == pytest.approx(1, abs=1e-9)
    assert (fit.cells, fit.curves, fit.dropped) == (12, 2, 0)


def test_curves_with_other_heights_share_the_slope_but_not_the_intercept():
    fit = fit_slope(frame(power_law(0.3, b_n=2.0, ns=(10, 1000))), STABILITY)
    assert fit.slope == pytest.approx(0.3, abs=1e-9)


def test_the_slope_is_ordinary_least_squares_on_logarithms():
    rows = frame(power_law(0.2, spread=0.3, seeds=3))
    reference = np.polyfit(np.log(rows["p"]), np.log(rows[STABILITY]), 1)[0]
    assert fit_slope(rows, STABILITY).slope == pytest.approx(reference, rel=1e-9)


def test_an_unequal_number_of_seeds_weighs_every_trial_the_same():
    rows = frame(power_law(0.2, spread=0.3, seeds=3)).iloc[2:]
    reference = np.polyfit(np.log(rows["p"]), np.log(rows[STABILITY]), 1)[0]
    assert fit_slope(rows, STABILITY).slope == pytest.approx(reference, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    "ps", [(100, 200, 400, 800, 1600), (100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600)]
)
def test_the_interval_covers_the_true_exponent_about_as_often_as_it_says(ps):
    hits = 0
    for seed in range(200):
        fit = fit_slope(frame(power_law(0.25, spread=0.2, seed=seed, ps=ps)), STABILITY)
        hits += fit.low <= 0.25 <= fit.high
    # nominal 0.95; the bootstrap over few cells is known to fall somewhat short
    assert 0.85 <= hits / 200 <= 0.99


@pytest.mark.slow
def test_the_interval_covers_when_curves_differ_in_slope():
    hits = 0
    for seed in range(200):
        slopes = 0.25 + 0.05 * np.random.default_rng(1000 + seed).standard_normal(8)
        rows = [
            r
            for i, b in enumerate(slopes)
            for r in power_law(b, spread=0.05, seed=seed * 8 + i, ns=(100 + i,))
        ]
        fit = fit_slope(frame(rows), STABILITY)
        hits += fit.low <= 0.25 <= fit.high
        assert fit.smallest <= fit.slope <= fit.largest
    assert 0.85 <= hits / 200 <= 0.99


def test_values_that_a_logarithm_cannot_take_are_counted():
    rows = frame(power_law(0.2))
    rows.loc[0, STABILITY] = 0.0
    assert fit_slope(rows, STABILITY).dropped == 1


@pytest.mark.parametrize("ps", [(), (100,), (100, 200), (100, 200, 400)])
def test_too_few_cells_give_a_reason_and_no_number(ps):
    rows = frame(power_law(0.2)) if ps else frame(power_law(0.2)).iloc[:0]
    fit = fit_slope(rows[rows["p"].isin(ps)], STABILITY)
    assert np.isnan(fit.slope) and np.isnan(fit.low) and "too few" in fit.failure


GRID: dict[str, Any] = {"ns": (100, 200, 400), "ds": (8, 16, 32)}


@pytest.mark.slow
@pytest.mark.parametrize(("b", "b_n", "b_d"), [(0.5, 0.5, 0.5), (0.2, 0.2, 0.0), (0.1, 0.4, 0.3)])
def test_the_collapse_finds_its_exponents(b, b_n, b_d):
    found = fit_collapse(frame(power_law(b, b_n, b_d, spread=0.02, **GRID)), STABILITY)
    assert (found.b, found.b_n, found.b_d) == pytest.approx((b, b_n, b_d), abs=0.03)
    assert (
        found.ratio_n[1] <= b_n / b <= found.ratio_n[2]
        and found.ratio_d[1] <= b_d / b <= found.ratio_d[2]
    )
    truth = "p/(n·d)" if b == b_n == b_d else "p/n" if b == b_n else "free"
    assert found.errors[truth] <= min(found.errors.values()) * 1.01


@pytest.mark.slow
def test_a_flat_exponent_gives_no_ratio():
    found = fit_collapse(frame(power_law(0.0, 0.3, 0.3, spread=0.1, **GRID)), STABILITY)
    assert "cannot be told from 0" in found.failure and np.isnan(found.ratio_n[1])


def test_few_combinations_give_exponents_without_interval():
    found = fit_collapse(frame(power_law(0.2, 0.2, ns=(100, 200, 400))), STABILITY)
    assert found.b_n == pytest.approx(0.2, abs=1e-6) and "too few for an interval" in found.failure


@pytest.mark.slow
def test_a_store_goes_through_filter_fit_and_verdict(tmp_path):
    evidence = read_evidence(
        make_store(tmp_path / "s", power_law(0.5, 0.5, 0.5, spread=0.01, **GRID))
    )
    (fit,) = fit_all(evidence.trials).kinds
    assert fit.verdict == fit.lipschitz_verdict == "attains the law's order"
    assert fit.stability.cells == 9 * 5, (
        "the smallest size of each curve is its onset and stays out"
    )
    assert set(fit.stability.trials) == set(fit_rows(evidence.trials, fit.kind)["trial_id"])
    (collapse,) = fit_collapses(evidence.trials)
    assert collapse.collapse.ratio_n[0] == pytest.approx(1, abs=0.05)
