"""A fit's intervals: that they hold planted parameters, where they are refused, what they take for
independent, and what is said against a fit.

Run alone: python -m pytest tests/reports/scaling/test_fitting.py
"""

import numpy as np
import pytest

from harness.errors import UserError
from reports.scaling.draws import FEW, least_units, resample
from reports.scaling.fitting import fit_form
from reports.scaling.forms import FORMS
from reports.scaling.intervals import percentile, widening
from reports.scaling.objective import Objective
from reports.scaling.optimum import optimum
from reports.scaling.points import Points
from reports.scaling.problem import Problem
from tests.benchmarks.fit_coverage import Design, coverage
from tests.reports.scaling.planted import BESIROGLU, SIZES, grid, planted


def noisy(name: str, level: float = 0.005, seed: int = 0) -> Points:
    inputs, y, _ = planted(name)
    return Points(inputs, y * np.exp(level * np.random.default_rng(seed).standard_normal(len(y))))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "cells"), [("saturating", 9), ("two-variable", 12)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(name, cells):
    """A small part of tests/benchmarks/fit_coverage.py. Below 9 of 12 lies a true coverage of .95
    once in 5 000."""
    found = coverage(Design(name, cells, 3, 0.01, "normal"), 12)
    assert found.none == 0 and min(found.held.values()) >= 9 / 12, found
    assert found.width < 1, "and they say something"


@pytest.mark.parametrize(
    ("name", "cells"), [("power", 8), ("saturating", 8), ("chinchilla", 11), ("kaplan", 8)]
)
def test_too_few_cells_get_no_interval(name, cells):
    inputs, y, _ = planted(name)
    few = np.linspace(0, len(y) - 1, cells).astype(int)
    fit = fit_form(name, Points({r: v[few] for r, v in inputs.items()}, y[few]))
    assert len(fit.draws) == 0 and fit.interval.startswith(f"none: {cells} different points")
    assert all(np.isnan(e.low) and e.note == fit.interval for e in (*fit.estimates, *fit.derived))
    assert np.isnan(fit.predict_interval(**{role: 1e8 for role in inputs})[1]).all()
    assert any("are few for" in warning for warning in fit.warnings)


def test_five_parameters_take_twelve_cells_and_fewer_take_nine():
    assert [least_units(k) for k in (2, 3, 4, 5, 6, 9)] == [9, 9, 9, 12, 14, 20]


@pytest.mark.slow
def test_rows_of_one_model_are_no_more_than_one():
    """22 models of ten rows, the models' errors shared by their rows: intervals over rows are too
    narrow."""
    rng = np.random.default_rng(0)
    x = np.geomspace(1e5, 1e9, 22)
    model = np.repeat(np.arange(22), 10)
    sizes = np.repeat(x, 10) * 1.02 ** np.tile(np.arange(10), 22)
    error = 0.01 * rng.standard_normal(22)[model] + 0.001 * rng.standard_normal(220)
    y = 5 * sizes**-0.1 * np.exp(error)
    alone = fit_form("power", Points({"X": sizes}, y))["b"]
    points = Points({"X": sizes}, y, cluster=np.array([f"model {i}" for i in model]))
    together = fit_form("power", points)
    assert together.clusters == 22 and "residual bootstrap of 22 clusters" in together.interval
    width = together["b"].high - together["b"].low
    assert 2 < width / (alone.high - alone.low) < 5
    assert together["b"].low < -0.1 < together["b"].high


@pytest.mark.parametrize(
    ("cells", "runs", "clustered", "how"),
    [
        (12, 1, False, "residual bootstrap of 12 cells"),
        (12, 3, False, "residual bootstrap of 12 cells"),
        (FEW, 2, False, f"bootstrap of {FEW} cells"),
        (12, 3, True, "residual bootstrap of 12 clusters"),
        (FEW, 2, True, f"bootstrap of {FEW} clusters"),
    ],
)
def test_the_draws_fit_the_number_of_units(cells, runs, clustered, how):
    x = np.repeat(np.geomspace(1, 1e4, cells), runs)
    rng = np.random.default_rng(0)
    points = Points({"X": x}, x**0.2 * np.exp(0.1 * rng.standard_normal(len(x))))
    problem = Problem.of(FORMS["power"], points, Objective("squared"))
    best = problem.search().z[:1]
    draws = resample(problem, best, points.units, clustered)
    assert draws.how == how and draws.replicates == 300
    if draws.weights is not None:
        assert (draws.weights.sum(1) == pytest.approx(len(x))) and draws.target is None
        together = draws.weights.reshape(300, cells, runs)
        assert (together == together[:, :, :1]).all()
    else:
        assert draws.target is not None
        fitted = problem.evaluate(best, problem.runs.inputs)[0]
        drawn = (draws.target - fitted).std()
        assert drawn == pytest.approx((problem.runs.target - fitted).std(), rel=0.25)
        # A unit's rows come from one unit, in order.
        residuals = (problem.runs.target - fitted)[0].reshape(cells, runs)
        first = ((draws.target - fitted)[0]).reshape(cells, runs) * np.sqrt(1 - 2 / cells)
        assert all(np.isclose(row, residuals).all(1).any() for row in first)


@pytest.mark.slow
def test_profiles_lie_where_the_objective_rises_by_what_it_rises_by_chance():
    points = noisy("saturating")
    fit = fit_form("saturating", points)
    ends = [fit["alpha"].low, fit["alpha"].high]
    fixed = np.array([False, False, True])
    costs = []
    for end in (fit["alpha"].value, *ends):
        z = fit.z.copy()
        z[2] = end
        costs.append(fit.problem.refit(z[None], fixed=fixed).cost[0])
    rise = np.array(costs) - fit.cost
    assert abs(rise[0]) < 1e-3 * rise[1] and rise[1] == pytest.approx(rise[2], rel=0.05)
    assert fit["alpha"].method == "profile" and fit["E"].method == "bootstrap"


def test_percentiles_widen_about_the_estimate():
    draws = np.linspace(-1, 3, 401)
    low, high = percentile(np.array(1.0), draws, 2.0, False)
    assert (low, high) == pytest.approx((1 - 2 * 1.9, 1 + 2 * 1.9), abs=0.01)
    low, high = percentile(np.array(-10.0), -np.geomspace(1, 100, 401), 1.0, True)
    assert low < -80 and -1.3 < high < -1, "about the logarithm of a value below 0"
    assert widening(12, 5) == pytest.approx(2.365 / 1.96, rel=1e-3)


def test_the_objective_is_printed_and_minimised():
    points = noisy("chinchilla")
    fit = fit_form("chinchilla", points, intervals=False)
    assert str(fit.objective) == "sum of Huber's loss, δ = 0.001, of log residuals"
    residual = np.abs(np.log(fit.predict(**points.inputs) / points.y))
    huber = np.where(residual < 1e-3, residual**2 / 2, 1e-3 * (residual - 5e-4)).sum()
    assert fit.cost == pytest.approx(huber, rel=1e-9) and fit.agreement > 0.5

    linear = fit_form("chinchilla", points, Objective("squared", residual="linear"), False)
    squares = ((linear.predict(**points.inputs) - points.y) ** 2).sum() / 2
    assert linear.cost == pytest.approx(squares, rel=1e-9)
    assert str(linear.objective) == "sum of squares of residuals"


@pytest.mark.slow
def test_the_best_split_of_a_budget_is_where_calculus_puts_it():
    fit = fit_form("chinchilla", noisy("chinchilla"))
    e, a, b, alpha, beta = (estimate.value for estimate in fit.estimates)
    ratio = (alpha * a / (beta * b)) ** (1 / (alpha + beta))
    best = optimum(fit, 1e22)
    assert best.N.value == pytest.approx(ratio * (1e22 / 6) ** (beta / (alpha + beta)), rel=1e-3)
    assert best.N.value * best.D.value == pytest.approx(1e22 / 6)
    assert best.loss.value == pytest.approx(
        e + a * best.N.value**-alpha + b * best.D.value**-beta, rel=1e-6
    )
    assert best.N.low < best.N.value < best.N.high and best.extrapolation == ""
    assert "times beyond" in optimum(fit, 1e27).extrapolation
    for name, budget in (("saturating", 1e20), ("chinchilla", -1.0)):
        with pytest.raises(UserError, match="budget"):
            optimum(fit_form(name, noisy(name), intervals=False), budget)


@pytest.mark.slow
def test_the_exponent_of_compute_is_that_of_the_best_split():
    for name in ("chinchilla", "kaplan"):
        inputs, y, _ = planted(name)
        fit = fit_form(name, Points(inputs, y), intervals=False)
        small, large = (optimum(fit, budget).N.value for budget in (1e19, 1e23))
        measured = np.log(large / small) / np.log(1e4)
        assert fit["compute_exponent"].value == pytest.approx(measured, abs=2e-3), name


@pytest.mark.slow
def test_the_share_of_starts_is_of_those_that_went_on():
    fit = fit_form("m4", noisy("m4"), intervals=False)
    assert (fit.starts, fit.tried) == (64, 108)
    assert fit.starts_said == "the best 64 of 108 starts"
    assert fit_form("power", noisy("power"), intervals=False).starts_said == "5 starts"


def test_a_prediction_without_an_input_names_the_roles():
    fit = fit_form("chinchilla", noisy("chinchilla"), intervals=False)
    for predict in (fit.predict, fit.predict_interval):
        with pytest.raises(UserError, match="form chinchilla needs N and D; D is missing"):
            predict(N=1e9)


def test_a_parameter_that_a_form_lacks_is_a_sentence():
    fit = fit_form("power", noisy("power"), intervals=False)
    with pytest.raises(UserError, match="the form power has no 'B'; it has A, b"):
        fit["B"]
    chinchilla = fit_form("chinchilla", noisy("chinchilla"), intervals=False)
    with pytest.raises(UserError, match="did you mean 'alpha'"):
        chinchilla["alhpa"]


ALONG = 20 * SIZES * np.exp(0.05 * np.sin(np.arange(len(SIZES))))
DOUBTS = {
    "lie nearly on one line": ("two-variable", {"N": SIZES, "D": ALONG}, SIZES**-0.1),
    "X spans only 1 to 2, a factor of 2": (
        "power",
        {"X": np.geomspace(1, 2, 9)},
        np.arange(1.0, 10),
    ),
    "E is 0: the table shows no such term": (
        "chinchilla",
        grid(5),
        planted("chinchilla")[2][1] * grid(5)["N"] ** -0.34 + 500 * grid(5)["D"] ** -0.3 - 0.02,
    ),
    "lies at the end of its range": ("saturating", {"X": SIZES}, 1 + 1e25 * SIZES**-5.0),
    "counts every repetition as new": ("chinchilla", *planted("data-constrained")[:2]),
}


@pytest.mark.slow
@pytest.mark.parametrize("sentence", DOUBTS)
def test_what_speaks_against_a_fit_is_said(sentence):
    name, inputs, y = DOUBTS[sentence]
    fit = fit_form(name, Points(inputs, y), intervals=False)
    assert any(sentence in warning for warning in fit.warnings), fit.warnings


@pytest.mark.slow
def test_a_table_without_doubts_gets_none():
    inputs, y, _ = planted("chinchilla")
    noise = np.exp(0.002 * np.random.default_rng(3).standard_normal(len(y)))
    fit = fit_form("chinchilla", Points(inputs, y * noise))
    assert fit.warnings == ()
    value, low, high = fit.predict_interval(N=1e11, D=[1e12, 1e13])
    e, a, b, alpha, beta = BESIROGLU
    truth = e + a * 1e11**-alpha + b * np.array([1e12, 1e13]) ** -beta
    assert (low < truth).all() and (truth < high).all() and (low < value).all()
    assert fit.beyond(N=1e11, D=1e10) == "N 10 times beyond the largest fitted"


@pytest.mark.slow
def test_a_fit_is_the_same_each_time():
    first, second = (fit_form("saturating", noisy("saturating")) for _ in range(2))
    assert first.estimates == second.estimates and (first.draws == second.draws).all()
