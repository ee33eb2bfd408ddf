"""C3: distances between points on a sphere.

Run alone: python -m pytest tests/reports/claims/test_sphere.py
"""

import pytest

from reports.claims import NOT_TESTED
from tests.reports.claims.verdicts import verdict
from tests.reports.stores import row


def on_sphere(d: int, quantiles: list[float] | None, unit: float = 1.0, n: int = 100):
    return row(1000, n, d, pair_distance_quantiles=quantiles, data_unit=unit)


GATHERED, FAR = [1.3, 1.35, 1.4, 1.41, 1.42, 1.5, 1.6], [1.8, 1.91, 1.95, 1.96, 1.97, 1.98, 1.99]


WIDE = [0.5, 0.8, 1.2, 1.4, 1.6, 1.9, 2.0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([on_sphere(8, WIDE), on_sphere(128, GATHERED)], "contradicted"),
        # radii, whatever the data unit
        ([on_sphere(128, [q / 1.6 for q in GATHERED], unit=1.6)], "contradicted"),
        # what counts is the largest d
        ([on_sphere(8, GATHERED), on_sphere(128, FAR)], "supported"),
        ([on_sphere(8, WIDE)], "undecided"),
        # neither 2 nor √2
        ([on_sphere(8, [1.5, 1.51, 1.52, 1.53, 1.54, 1.55, 1.56])], "undecided"),
        ([on_sphere(8, GATHERED) | {"isoperimetry": "assumed"}], NOT_TESTED),
        ([on_sphere(8, None)], NOT_TESTED),
    ],
)
def test_c3_looks_at_the_largest_dimension(tmp_path, rows, expected):
    assert verdict(tmp_path, rows, "C3").verdict == expected


@pytest.mark.slow
def test_c3_takes_the_median_over_data_sets(tmp_path):
    rows = [
        on_sphere(8, [q + 0.01 * n for q in GATHERED], n=100 + n) | {"data_hash": str(n)}
        for n in (1, 2, 3)
    ]
    # the same data again does not count again
    twice = [rows[2] | {"trial_id": "f" * 16, "seed": 9}]
    (claim,) = verdict(tmp_path, rows + twice, "C3").findings
    assert claim.parts["low"].value == pytest.approx(1.32) and len(claim.parts["low"].trials) == 3
