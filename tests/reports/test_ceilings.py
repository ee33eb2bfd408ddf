"""The law's ceilings against figures worked out by hand, and where they bind.

Run alone: python -m pytest tests/reports/test_ceilings.py
"""

import math
from typing import Any

import pytest

from harness.execution.row_columns import radius_law_columns
from harness.noise import Noise
from harness.store.radius_law import radius_law
from reports.ceilings import cells_beside_ceilings, radii_beside_ceilings, stability_ceiling
from reports.claims import bound
from reports.evidence import read_evidence
from tests.reports.fits_on_demand import fits_on_demand
from tests.reports.stores import make_store, row


def test_the_radius_ceiling_by_hand():
    """At p = n, b = c = 1 and many points √d·r is sqrt(8·1.56) = 3.5, with 22.2 nats 13.5."""
    many = 10**9
    assert 8 * radius_law(many, many, 64, 1.0) == pytest.approx(3.53, abs=0.01)
    assert 8 * radius_law(many, many, 64, 22.2) == pytest.approx(13.5, abs=0.02)


def test_the_page_states_the_law_of_the_row(tmp_path):
    pure = Noise("additive_sign", None, 0.5, sigma2=1.0)
    of_row = radius_law_columns(pure, p=500, n=200, d=64, unit=1.0)
    store = make_store(tmp_path / "s", [row(p=500, n=200, d=64, radius_ceiling=0.6)])
    (cell,) = radii_beside_ceilings(read_evidence(store).trials).to_dict("records")
    assert cell["low"] == of_row["radius_law"]
    assert cell["high"] == pytest.approx(of_row["radius_law_32bit"], rel=1e-3)

    of_rows: dict[str, Any] = {"radius_ceiling": 0.6, "radius_law": 0.7, "radius_law_32bit": 3.3}
    store = make_store(tmp_path / "t", [row(p=500, n=200, d=64, **of_rows)])
    (cell,) = radii_beside_ceilings(read_evidence(store).trials).to_dict("records")
    assert (cell["low"], cell["high"]) == (0.7, 3.3)


def test_the_ceilings_bind_where_the_science_says():
    """With b = c = 1 the radius ceiling is below r∞ = .65 up to p = 13n at d = 256, and never at
    d = 32."""
    n = 10**6
    assert radius_law(12 * n, n, 256, 1.0) < 0.65 < radius_law(14 * n, n, 256, 1.0)
    assert radius_law(n / 100, n, 32, 1.0) > 0.35


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
