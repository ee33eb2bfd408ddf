"""Every form by its name: parameters from exact tables in the papers' units, derivatives, what a
registry promises, and published cases.

Run alone: python -m pytest tests/reports/scaling/test_forms.py
"""

import numpy as np
import pytest

from harness.errors import UserError
from reports.scaling.form import STEP
from reports.scaling.forms import FORMS, form_named, forms_for
from reports.scaling.objective import HUBER, Objective
from reports.scaling.points import Points
from reports.scaling.problem import Problem
from tests.reports.scaling.planted import ADDITION, ADDITION_SIZES, PLANTED, broken_law, planted


def recovered(name: str, inputs, y, objective=HUBER) -> np.ndarray:
    problem = Problem.of(FORMS[name], Points(inputs, y), objective)
    return problem.units(problem.search().z[:1])[0]


def test_every_form_has_a_planted_table():
    assert set(PLANTED) == set(FORMS)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_parameters_are_recovered_in_the_papers_units(name):
    inputs, y, truth = planted(name)
    assert recovered(name, inputs, y) == pytest.approx(truth, rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["saturating", "chinchilla", "kaplan", "m4"])
def test_units_of_the_table_do_not_matter(name):
    """Sizes counted in other units move only what is counted in them."""
    inputs, y, truth = planted(name)
    sizes = {role: values * 1e-6 for role, values in inputs.items()}
    found = recovered(name, sizes, y * 7)
    dimensionless = [
        i
        for i, parameter in enumerate(FORMS[name].parameters)
        if parameter.unit == "" and parameter.key != "beta" or name == "chinchilla" and i > 2
    ]
    assert found[dimensionless] == pytest.approx(truth[dimensionless], rel=2e-3)
    if FORMS[name].parameters[0].key == "E":
        assert found[0] == pytest.approx(7 * truth[0], rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["saturating", "chinchilla", "downstream"])
@pytest.mark.parametrize("residual", ["log", "linear"])
def test_measures_that_go_the_other_way_are_fitted(name, residual):
    inputs, y, truth = planted(name)
    turned = 2 * truth[0] - y
    kept = turned > 0.05
    inputs = {role: values[kept] for role, values in inputs.items()}
    found = recovered(name, inputs, turned[kept], Objective(residual=residual))
    mirrored = np.isin(np.arange(len(truth)), FORMS[name].mirrored)
    assert found == pytest.approx(np.where(mirrored, -truth, truth), rel=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_derivatives_are_what_complex_steps_say(name):
    form = FORMS[name]
    inputs, y, _ = planted(name)
    problem = Problem.of(form, Points(inputs, y), HUBER)
    z = problem.engine.starts[::7] * 1.01
    values, slopes = form.evaluate(z, problem.runs.inputs)
    assert np.isfinite(values).all() and slopes.shape == (*values.shape, z.shape[1])
    assert values == pytest.approx(np.real(form.value(z, problem.runs.inputs)), rel=1e-12)
    for j in range(z.shape[1]):
        step = z + 1j * STEP * (np.arange(z.shape[1]) == j)
        exact = np.imag(form.value(step, problem.runs.inputs)) / STEP
        size = np.maximum(np.abs(exact), np.abs(values)).max(1, keepdims=True)
        assert (np.abs(slopes[:, :, j] - exact) < 1e-9 * size).all()
        short = 1e-6 * np.maximum(np.abs(z[:, j : j + 1]), 1e-2)
        ahead, behind = z.copy(), z.copy()
        ahead[:, j : j + 1] += short
        behind[:, j : j + 1] -= short
        run = problem.runs.inputs
        numeric = np.real(form.value(ahead, run) - form.value(behind, run)) / (2 * short)
        off = np.abs(numeric - slopes[:, :, j]) / size
        # At a knee, a difference and a derivative part.
        assert np.quantile(off, 0.9) < 1e-4


@pytest.mark.parametrize("name", FORMS)
def test_a_form_says_what_it_is(name):
    form = FORMS[name]
    assert len(set(form.keys)) == len(form.parameters) and set(form.headline) <= set(form.keys)
    assert set(form.own) <= set(form.keys) and form.source and form.formula
    inputs, y, truth = planted(name)
    problem = Problem.of(form, Points(inputs, y), HUBER)
    engine = problem.engine
    assert (engine.starts >= engine.low - 1e-9).all() and (
        engine.starts <= engine.high + 1e-9
    ).all()
    for parameter, value in zip(form.parameters, truth, strict=True):
        low, high = (
            np.nan_to_num(parameter.low, nan=-np.inf),
            np.nan_to_num(parameter.high, nan=1e99),
        )
        assert low <= value <= high and parameter.meaning, parameter.key


@pytest.mark.slow
def test_a_broken_law_foresees_four_digit_addition():
    """17 points from the published parameters: the first 14 are fitted, the others foreseen, with
    0.1 % of noise too. A levelling power law, fitted alike, is off by more than .5."""
    y = broken_law(ADDITION_SIZES, *ADDITION)
    rng = np.random.default_rng(0)
    for noise, allowed in ((0.0, 1e-6), (0.001, 0.05)):
        seen = y[:14] * np.exp(noise * rng.standard_normal(14))
        misses = {}
        for name in ("bnsl", "saturating"):
            points = Points({"X": ADDITION_SIZES[:14]}, seen)
            problem = Problem.of(FORMS[name], points, HUBER)
            later = problem.centred({"X": ADDITION_SIZES[14:]})
            foreseen = problem.values(problem.search().z[:1], later)[0]
            misses[name] = np.sqrt(np.mean(np.log(foreseen / y[14:]) ** 2))
        assert misses["bnsl"] < allowed and misses["saturating"] > 0.5, misses


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_under_noise_no_lower_minimum_lies_near_the_truth(seed):
    """How far a broken law errs beyond noisy points is the noise's own limit, not the search's: a
    search that begins at the true parameters ends no lower."""
    y = broken_law(ADDITION_SIZES, *ADDITION)[:14]
    noisy = y * np.exp(0.003 * np.random.default_rng(seed).standard_normal(14))
    problem = Problem.of(FORMS["bnsl"], Points({"X": ADDITION_SIZES[:14]}, noisy), HUBER)
    measure, (centre,) = problem.scale.measure, problem.scale.centre
    a, b, c0, c1, d1, f1 = ADDITION
    level = b / measure * np.exp(-c0 * centre)
    truth = np.array([[a / measure, level, c0, c1, np.log(d1) - centre, np.log(f1)]])
    assert problem.units(truth)[0] == pytest.approx(ADDITION)
    near = problem.refit(truth).cost[0]
    assert problem.search().cost[0] <= near * 1.001


def test_names_and_inputs_choose_forms():
    assert form_named("kaplan") is FORMS["kaplan"]
    with pytest.raises(UserError, match="'chinchila' is not known; did you mean 'chinchilla'"):
        form_named("chinchila")
    assert {form.name for form in forms_for({"L"})} == {"downstream"}
    assert "data-constrained" not in {form.name for form in forms_for({"N", "D"})}
    assert "data-constrained" in {form.name for form in forms_for({"N", "D", "U"})}


X = np.geomspace(1, 100, 8)
BAD = {
    "form chinchilla: needs D": ("chinchilla", {"N": X}, X, HUBER),
    "in row 3: log residuals need values above 0": (
        "power",
        {"X": X},
        np.where(X == X[2], 0, X),
        HUBER,
    ),
    "is 2 in every row: nothing to fit": ("power", {"X": X}, 0 * X + 2, HUBER),
    "N is 3 in every row": ("two-variable", {"N": 0 * X + 3, "D": X}, X, HUBER),
    "8 different points are too few for 9 parameters": ("bnsl-2", {"X": X}, X, HUBER),
    "loss: 'hubert' is none of huber, squared": ("power", {"X": X}, X, Objective("hubert")),
    "delta: 0 is not above 0": ("power", {"X": X}, X, Objective(delta=0)),
    "delta: inf is not above 0 and finite": ("power", {"X": X}, X, Objective(delta=np.inf)),
}


@pytest.mark.parametrize("sentence", BAD)
def test_what_cannot_be_fitted_is_refused_in_one_sentence(sentence):
    name, inputs, y, objective = BAD[sentence]
    with pytest.raises(UserError, match=sentence):
        Problem.of(FORMS[name], Points(inputs, y), objective)


def test_a_single_budget_has_no_direction():
    problem = Problem.of(FORMS["two-variable"], Points({"N": X, "D": 1e3 / X}, X**0.1), HUBER)
    assert not problem.rising and problem.search().cost[0] < 1e-12


@pytest.mark.parametrize(
    ("inputs", "y", "sentence"),
    [
        ({"X": X}, X[1:], "X has 8 rows and the measure 7"),
        ({"X": X}, np.where(X == X[4], np.nan, X), "the measure is nan in row 5"),
        ({"X": X - X[1]}, X, "in row 1: it must be above 0"),
    ],
)
def test_tables_that_are_none_are_refused(inputs, y, sentence):
    with pytest.raises(UserError, match=sentence):
        Points(inputs, y)
