"""C2b: whether stability collapses on p/(n·d).

Run alone: python -m pytest tests/reports/claims/test_collapse.py
"""

import pytest

from tests.reports.claims.verdicts import verdict
from tests.reports.stores import power_law

GRID = {"ns": (100, 200, 400), "ds": (8, 16, 32), "spread": 0.02}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("b", "b_n", "b_d", "expected"),
    [
        (0.4, 0.4, 0.4, "supported"),
        (0.4, 0.4, 0.0, "contradicted"),
        (0.1, 0.5, 0.1, "contradicted"),
        (0.0, 0.3, 0.3, "undecided"),
    ],
)
def test_c2b_follows_the_collapse_test(tmp_path, b, b_n, b_d, expected):
    assert verdict(tmp_path, power_law(b, b_n, b_d, **GRID), "C2b").verdict == expected
