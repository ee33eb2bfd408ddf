"""Slopes, intervals and the collapse against known answers.

Run alone: python -m pytest tests/reports/fits/test_slope.py
"""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reports.evidence import fit_rows, read_evidence
from reports.fits.collapse import fit_collapse
from reports.fits.slope import fit_slope, fit_together
from reports.law import fit_all, fit_collapses, without_n_and_d
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
    fit = fit_slope(frame(power_law(b, ns=(100, 400, 900))), STABILITY)
    assert (fit.slope, fit.low, fit.high) == pytest.approx((b, b, b), abs=1e-9)
    assert fit.held_out == pytest.approx(1, abs=1e-9)
    assert (fit.cells, fit.curves, fit.dropped) == (18, 3, 0)
    assert not fit.pooled and fit.freedom == 2


def test_curves_with_other_heights_share_the_slope_but_not_the_intercept():
    fit = fit_slope(frame(power_law(0.3, b_n=2.0, ns=(10, 100, 1000))), STABILITY)
    assert fit.slope == pytest.approx(0.3, abs=1e-9)


def curve_by_curve(rows: pd.DataFrame) -> list[float]:
    """Return the slope of each curve by NumPy's own least squares."""
    return [
        np.polyfit(np.log(own["p"]), np.log(own[STABILITY]), 1)[0]
        for _, own in rows.groupby("curve")
    ]


@pytest.mark.parametrize("first", [0, 2], ids=["all seeds", "seeds missing"])
def test_the_slope_is_the_plain_mean_of_the_curves_slopes_with_a_t_interval(first):
    rows = frame(power_law(0.2, spread=0.3, seeds=3, ns=(100, 200, 400, 800))).iloc[first:]
    slopes = curve_by_curve(rows)
    reference = stats.ttest_1samp(slopes, 0).confidence_interval(0.95)
    fit = fit_slope(rows, STABILITY)
    assert fit.slope == pytest.approx(np.mean(slopes), rel=1e-9)
    assert (fit.low, fit.high) == pytest.approx((reference.low, reference.high), rel=1e-9)
    assert (fit.smallest, fit.largest) == pytest.approx((min(slopes), max(slopes)), rel=1e-9)
    assert fit.leverage == 1 / 4


def test_one_curve_takes_the_spread_of_the_other_kinds_and_says_so():
    alone = frame(power_law(0.2, spread=0.1))
    others = frame(power_law(-0.3, spread=0.1, seed=1, ns=(1, 2, 3, 4, 5)))
    refused = fit_slope(alone, STABILITY)
    assert "too few" in refused.failure and np.isnan(refused.low)

    fit = fit_together({"alone": alone, "others": others}, STABILITY)["alone"]
    assert not fit.failure and fit.pooled and fit.freedom == 4
    assert fit.slope == pytest.approx(curve_by_curve(alone)[0], rel=1e-9)
    assert fit.low < fit.slope < fit.high


def test_values_that_a_logarithm_cannot_take_are_counted():
    rows = frame(power_law(0.2, ns=(100, 200, 400)))
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
    assert (found.ratio_n, found.ratio_d) == pytest.approx((b_n / b, b_d / b), abs=0.2)
    for (value, low, high), truth in (
        (found.difference_n, b_n - b),
        (found.difference_d, b_d - b),
        (found.exponent_d, b_d),
    ):
        assert low <= value <= high and low - 0.01 <= truth <= high + 0.01
    truth = "p/(n·d)" if b == b_n == b_d else "p/n" if b == b_n else "free"
    assert found.errors[truth] <= min(found.errors.values()) * 1.01
    assert found.power > 0.99, "b_d = b lies far from 0 beside this noise"


@pytest.mark.slow
def test_a_flat_exponent_leaves_the_differences_their_intervals():
    """The ratio to an exponent of 0 means nothing, its difference does."""
    found = fit_collapse(frame(power_law(0.0, 0.3, 0.3, spread=0.1, **GRID)), STABILITY)
    assert found.difference_n[1] > 0.2 and found.difference_d[1] > 0.2
    assert found.power < 0.5


@pytest.mark.slow
def test_a_form_gains_by_what_it_predicts_better():
    """b_d = 0: p/n and the free form predict left-out combinations better than p/(n·d)."""
    rows = frame(power_law(0.3, 0.3, 0.0, spread=0.02, **GRID))
    gains = fit_collapse(rows, STABILITY).gains
    assert gains["p/n"][1] > 0 and gains["free"][1] > 0
    assert gains["p/n"][0] == pytest.approx(gains["free"][0], rel=0.1)


def test_few_combinations_give_exponents_without_interval():
    found = fit_collapse(frame(power_law(0.2, 0.2, ns=(100, 200, 400))), STABILITY)
    assert found.b_n == pytest.approx(0.2, abs=1e-6) and "too few for an interval" in found.failure


def test_what_d_is_made_of_is_no_setting_of_its_own():
    made_of = [{"context": 8, "d_in": 2}, {"context": 8, "d_in": 4}, {"context": 16, "d_in": 4}]
    settings = [{"n": n, "lr": lr} | d for n in (100, 200) for lr in (1, 2) for d in made_of]
    d = [8 * 2, 8 * 4, 16 * 4] * 4
    rows = pd.DataFrame({"settings_json": [json.dumps(s) for s in settings], "d_ambient": d})
    assert set(without_n_and_d(rows)) == {'{"lr": 1}', '{"lr": 2}'}

    apart = rows[rows["d_ambient"] != 8 * 4]  # either alone may have moved d
    assert without_n_and_d(apart).nunique() == 4


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
    assert collapse.collapse.ratio_n == pytest.approx(1, abs=0.05)
