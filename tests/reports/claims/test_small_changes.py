"""C11: small changes found, beside the distances between inputs.

Run alone: python -m pytest tests/reports/claims/test_small_changes.py
"""

import math

import pytest

from reports.claims import NOT_TESTED
from tests.reports.claims.verdicts import verdict
from tests.reports.stores import of_schema_2, row


def pictured(*lengths: float | None, after: str = "2", **changes):
    return row(
        pictures=[{"label": "1", "before": "1", "after": after, "distance": d} for d in lengths],
        **changes,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([pictured(0.1, 0.2, 0.9)], "supported"),  # the median is below a fifth of 1.4
        ([pictured(0.2, 0.3, 0.4)], "undecided"),
        ([pictured(0.1), pictured(0.5, family="other")], "undecided"),
        ([pictured(0.1), pictured(0.1, family="other")], "supported"),
        ([pictured(None, math.nan, 0.1)], "supported"),
        ([pictured(None)], NOT_TESTED),
        ([pictured(0.1, after="1")], NOT_TESTED),  # the same answer is no change
        ([pictured()], NOT_TESTED),
        ([pictured(0.1, pair_distance_quantiles=None)], NOT_TESTED),
        (of_schema_2([pictured(0.1)]), NOT_TESTED),
    ],
)
def test_c11_compares_changes_with_distances_between_inputs(tmp_path, rows, expected):
    assert verdict(tmp_path, rows, "C11").verdict == expected
