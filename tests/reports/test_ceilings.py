"""The law's ceilings against figures worked out by hand, and where they bind.

Run alone: python -m pytest tests/reports/test_ceilings.py
"""

import math

import pytest

from reports.ceilings import cells_beside_ceilings, radius_ceiling, stability_ceiling
from reports.claims import bound
from reports.evidence import read_evidence
from tests.reports.fits_on_demand import fits_on_demand
from tests.reports.stores import make_store, row


def test_the_radius_ceiling_by_hand():
    """At p = n, b = c = 1 and many points √d·r is sqrt(8·1.56) = 3.5, with 22.2 nats 13.5."""
    many = 10**9
    assert 8 * radius_ceiling(many, many, 64, 1, 1.0) == pytest.approx(3.53, abs=0.01)
    assert 8 * radius_ceiling(many, many, 64, 1, 22.2) == pytest.approx(13.5, abs=0.02)


def test_the_ceilings_bind_where_the_science_says():
    """With b = c = 1 the radius ceiling is below r∞ = .65 up to p = 13n at d = 256, and never at
    d = 32."""
    n = 10**6
    assert radius_ceiling(12 * n, n, 256, 1, 1.0) < 0.65 < radius_ceiling(14 * n, n, 256, 1, 1.0)
    assert radius_ceiling(n / 100, n, 32, 1, 1.0) > 0.35


def test_the_stability_ceiling_by_hand():
    """K = 2, ε = .2: 30·sqrt(p/(nd)) at the larger sizes, sqrt(8/d·ln 60) at the smallest."""
    found = [float(stability_ceiling(p, 10_000, 784, 1, 2, 0.2, 1.0)) for p in (78_400, 784)]
    assert found == pytest.approx([30 * 0.1, 30 * 0.01])
    flat = float(stability_ceiling(1, 10_000, 784, 1, 2, 0.2, 1.0))
    assert flat == pytest.approx(math.sqrt(8 / 784 * math.log(60)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "supported"),  # it binds and holds
        ({"stability": 0.9, "stability_certified_mean": 0.01}, "undecided"),
        ({"stability": 1.0, "stability_certified_mean": 0.95}, "contradicted"),
        ({"p": 10**9}, "undecided"),  # it binds nowhere
    ],
)
def test_c2a_asks_whether_anything_lies_above_the_ceiling(tmp_path, changes, expected):
    """A thousandth of n·d is far too few parameters for a stable fit."""
    made = {"p": 1000, "n": 10**6, "d": 1000, "stability_certified_mean": 0.001} | changes
    evidence = read_evidence(make_store(tmp_path / "s", [row(**made)]))
    cells = cells_beside_ceilings(evidence.trials)
    assert len(cells) == 1 and cells["c"].eq(1).all()
    verdict, _ = bound.check(evidence, fits_on_demand(evidence.trials))
    assert bound.STATEMENT.key == "C2a" and verdict == expected
