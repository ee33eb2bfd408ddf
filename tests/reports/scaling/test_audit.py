"""The audit: the form that made a table foresees its largest runs best, whatever its name, and what
a fit hangs on is found.

Run alone: python -m pytest tests/reports/scaling/test_audit.py
"""

import numpy as np
import pytest

from harness.errors import UserError
from reports.scaling.audit import audit
from reports.scaling.curvature import bends, verdict
from reports.scaling.fitting import fit_form
from reports.scaling.forms import FORMS
from reports.scaling.held_out import held_out, held_out_rows
from reports.scaling.number import number
from reports.scaling.objective import HUBER, Objective
from reports.scaling.points import Points
from reports.scaling.sensitivity import sensitivity
from tests.reports.scaling.planted import SIZES, grid, planted

TOGETHER = ["chinchilla", "kaplan", "two-variable"]


def noisy(name: str, level: float = 0.002, seed: int = 0) -> Points:
    inputs, y, _ = planted(name)
    return Points(inputs, y * np.exp(level * np.random.default_rng(seed).standard_normal(len(y))))


@pytest.mark.slow
@pytest.mark.parametrize("name", TOGETHER)
def test_the_form_that_made_the_table_is_the_headline(name):
    every_other = (np.arange(7) % 2 == 0)[:, None] & (np.arange(7) % 2 == 0)
    found = audit(noisy(name).subset(every_other.ravel()), TOGETHER, intervals=False)
    assert found.headline == name and set(found.fits) == set(TOGETHER)
    first, *rivals = found.held_out
    assert first.form == name and first.error < 0.01 and first.difference == 0
    assert all(rival.difference > 0 for rival in rivals)
    assert f"{name} comes closest to the 3 points" in found.why
    assert "3 points of largest N·D" in found.held_out_what


def test_a_form_that_is_wrong_is_signed_and_told_from_the_headline():
    """A power law through a curve that levels off predicts its largest sizes too low."""
    points = noisy("saturating")
    first, rival = held_out(points, [FORMS["power"], FORMS["saturating"]], HUBER)
    assert (first.form, rival.form) == ("saturating", "power")
    assert rival.signed < rival.signed_high < 0 and abs(first.signed) < 0.01
    assert 0 < rival.difference_low < rival.difference < rival.difference_high
    assert rival.error == pytest.approx(abs(np.expm1(rival.signed)), rel=0.5)


def test_many_parameters_win_no_headline_by_luck():
    points = noisy("saturating").subset(np.arange(0, 24, 2))
    judged = held_out(points, [FORMS["bnsl-2"], FORMS["saturating"]], HUBER)
    assert judged[0].form == "saturating"
    few = points.subset(np.arange(10))
    assert "without the held-out runs" in held_out(few, [FORMS["bnsl-2"]], HUBER)[0].failure


def test_whole_clusters_are_held_out_and_equal_budgets_together():
    model = np.repeat(np.arange(10), 3)
    sizes = np.repeat(np.geomspace(1e6, 1e9, 10), 3) * np.tile([1, 10, 100], 10)
    out = held_out_rows(Points({"X": sizes}, sizes**-0.1, cluster=model))
    assert set(model[out]) == {7, 8, 9} and out.sum() == 9

    n = np.repeat([1e7, 2e7, 4e7, 8e7, 16e7], 5)
    d = np.repeat([1e18, 1e19, 1e20, 1e21, 1e22], 5) / np.tile(n[::5], 5)
    out = held_out_rows(Points({"N": np.tile(n[::5], 5), "D": d}, d**-0.1))
    assert out.sum() == 5 and (d * np.tile(n[::5], 5))[out].min() > 9e21
    losses = np.linspace(2, 2.2, 20)  # .01 apart, which is less than the share of a budget
    assert held_out_rows(Points({"L": losses}, losses**2)).sum() == 4
    assert not held_out_rows(Points({"X": SIZES[:3]}, SIZES[:3])).any()


@pytest.mark.slow
def test_what_moves_an_exponent_is_found():
    inputs, y, truth = planted("chinchilla")
    spoilt = 3
    y = y * np.exp(0.002 * np.random.default_rng(0).standard_normal(len(y)))
    y[spoilt] *= 1.5
    other = {"N": inputs["N"] + 3e7}
    points = Points(inputs, y, alternatives=other, names={"other N": "N with embeddings"})
    fit = fit_form("chinchilla", points, Objective("squared"), intervals=False)
    changes = {(c.what, c.key): c for c in sensitivity(fit, points)}

    place = f"without the runs at N {number(inputs['N'][spoilt])}, D {number(inputs['D'][spoilt])}"
    dropped = changes[place, "beta"]
    assert abs(dropped.after - truth[4]) < 0.01 < abs(dropped.before - truth[4])
    robust = changes["with Huber's δ = 0.001", "beta"]
    assert abs(robust.after - truth[4]) < 0.02
    assert abs(changes["with N with embeddings", "alpha"].after - fit["alpha"].value) > 0.02
    assert ("without the 5 highest values of the measure", "compute_exponent") in changes


def test_a_bend_that_a_form_cannot_follow_is_seen_and_others_are_not():
    points = noisy("saturating", 0.01)
    wrong = fit_form("power", points, intervals=False)
    bend = bends(wrong, points)[0]
    assert bend.p < 1e-3 and bend.share > 0
    assert "bend with X" in verdict(wrong, points) and "above the form power" in verdict(
        wrong, points
    )

    false = 0
    for seed in range(20):
        points = noisy("power", 0.01, seed)
        false += bends(fit_form("power", points, intervals=False), points)[0].p < 0.05
    assert false <= 4, "5 % of 20: above 4 once in 400"


def test_a_bend_is_in_the_unit_of_the_measure_where_residuals_are():
    points = noisy("saturating", 0.01)
    shares = []
    for factor in (1, 1000):
        counted = Points(points.inputs, points.y * factor)
        objective = Objective("squared", residual="linear")
        (bend,) = bends(fit_form("power", counted, objective, intervals=False), counted)
        shares.append(bend.share)
    assert shares[1] == pytest.approx(1000 * shares[0], rel=1e-3)
    assert 0.01 < shares[0] / np.ptp(points.y) < 1


def test_the_delta_that_is_tried_is_the_one_that_is_stated():
    points = noisy("power")
    fit = fit_form("power", points, Objective("squared", delta=0.05), intervals=False)
    said = {change.what for change in sensitivity(fit, points)}
    assert "with Huber's δ = 0.05" in said and "with Huber's δ = 0.001" not in said


@pytest.mark.slow
def test_repeated_tokens_are_named():
    inputs, y, _ = planted("data-constrained")
    without = {role: inputs[role] for role in "ND"}
    found = audit(Points(without, y), ["two-variable"], intervals=False)
    assert any("name the column of distinct tokens" in warning for warning in found.warnings)
    once = audit(
        Points({**grid(), "U": grid()["D"]}, planted("chinchilla")[1]), ["chinchilla"], HUBER, False
    )
    assert any("no tokens are repeated" in warning for warning in once.warnings)


def test_a_table_too_small_to_hold_runs_out_says_so():
    x = SIZES[:4]
    found = audit(Points({"X": x}, x**-0.2), ["power", "saturating", "bnsl"], intervals=False)
    assert found.headline == "power" and "has the fewest parameters" in found.why
    assert "too few for 6 parameters" in found.failures["bnsl"]
    with pytest.raises(UserError, match="too few for 6 parameters"):
        audit(Points({"X": x}, x**-0.2), ["bnsl"])
