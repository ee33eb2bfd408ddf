"""How often a knee that is there would count: known designs, and the sentence that states it.

Run alone: python -m pytest tests/reports/fits/test_knee_power.py
"""

import numpy as np
import pytest

from reports.evidence import read_evidence
from reports.fits.forms import CurveSizes
from reports.fits.knee_power import MARKED, MOST_CURVES, SLIGHT, knee_power, place_of, simulated
from reports.law import fit_all
from reports.sections.shape import shape_sentence
from tests.benchmarks.coverage import SIGMA, STEP, knees
from tests.reports.stores import make_store, row

TAU = 0.025


def sizes(curves: int, cells: int, rows: int = 1, shift: float = 0.0) -> list[CurveSizes]:
    """Return curves with cells on both sides of p = n·d, the middle moved by `shift`."""
    z = STEP * (np.arange(cells) - (cells - 1) / 2) + shift
    return [CurveSizes(z, np.full(cells, float(rows)))] * curves


@pytest.mark.slow
def test_the_power_is_that_of_the_rule_on_draws_of_its_own():
    """The rule's own count over 60 stores, drawn and fitted one by one by other code."""
    power = knee_power(sizes(12, 6), MARKED, TAU, SIGMA**2)
    counted, _, _ = knees("broken, .30 and -.05", 12, 6, draws=60, seed=1)
    error = np.sqrt(power * (1 - power) / 60)
    assert abs(power - counted) < 4 * error
    assert 0.2 < power < 0.7


@pytest.mark.slow
def test_a_slight_knee_is_seldom_told_and_less_noise_tells_it():
    assert knee_power(sizes(16, 7), SLIGHT, TAU, SIGMA**2) < 0.15
    assert knee_power(sizes(16, 7, rows=100), SLIGHT, 0.002, SIGMA**2) > 0.9


@pytest.mark.slow
def test_without_a_change_of_slope_no_knee_is_told():
    straight = MARKED._replace(above=MARKED.below)
    assert knee_power(sizes(12, 6), straight, TAU, SIGMA**2) < 0.05


@pytest.mark.parametrize(("shift", "place"), [(0.0, 0.0), (5.0, 5.0), (-7.0, -7.0)])
def test_a_knee_is_planted_at_p_equal_nd_or_in_the_middle(shift, place):
    assert place_of(sizes(3, 8, shift=shift)) == pytest.approx(place, abs=1e-9)


def test_of_very_many_curves_a_part_is_simulated():
    few, many = sizes(5, 6), sizes(1000, 6)
    assert simulated(few) is few and len(simulated(many)) == MOST_CURVES


@pytest.mark.slow
def test_the_page_states_what_it_could_have_told(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        row(p, n, stability=0.05 * float((p / n) ** 0.2 * np.exp(0.03 * rng.standard_normal())))
        for n in (100, 140, 200)
        for p in (100, 200, 400, 800, 1600, 3200, 6400)
    ]
    (kind,) = fit_all(read_evidence(make_store(tmp_path / "s", rows)).trials).kinds
    said = shape_sentence(kind)
    assert "would have shown a bend at p/(n·d) = 1 from slope +0.16 to +0.03" in str(said)
    stated = {number.key.rpartition(":")[2]: number.value for number in said.numbers()}
    assert 0 <= stated["power slight"] <= stated["power marked"] <= 1
    assert stated["power marked"] > 0
