"""The sentence on a kind's shape: a power law, a bend, or a knee that counts.

Run alone: python -m pytest tests/reports/sections/test_shape.py
"""

import numpy as np
import pytest

from reports.evidence import read_evidence
from reports.law import fit_all
from reports.sections.shape import shape_sentence
from tests.reports.stores import make_store, row

PS = (100, 200, 400, 800, 1600, 3200, 6400, 12_800)


def sentence(tmp_path, log_stability, noise=0.01):
    """Return the sentence on six curves whose log stability is this function of log p/(n·d)."""
    rng = np.random.default_rng(0)
    rows = []
    for n in (100, 120, 140, 160, 180, 200):
        for p in PS:
            log_s = log_stability(np.log(p / (10 * n))) + noise * rng.standard_normal()
            rows.append(row(p, n, stability=0.05 * float(np.exp(log_s))))
    (kind,) = fit_all(read_evidence(make_store(tmp_path / "s", rows)).trials).kinds
    return shape_sentence(kind)


@pytest.mark.slow
def test_a_knee_is_stated_with_its_place_and_slopes(tmp_path):
    found = sentence(tmp_path, lambda z: 0.3 * min(z, 0.5) - 0.05 * max(z - 0.5, 0.0))
    assert str(found).startswith("One power law does not describe it")
    assert found.parts["below"].value == pytest.approx(0.3, abs=0.03)
    assert found.parts["above"].value == pytest.approx(-0.05, abs=0.03)
    assert found.parts["place"].value == pytest.approx(np.exp(0.5), rel=0.3)


@pytest.mark.slow
def test_a_power_law_gets_no_knee(tmp_path):
    assert "One power law does not" not in str(sentence(tmp_path, lambda z: 0.3 * z))
