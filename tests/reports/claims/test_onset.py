"""C1: the onset of fitting pure noise, bracketed by sizes.

Run alone: python -m pytest tests/reports/claims/test_onset.py
"""

import pytest

from reports.claims import NOT_TESTED
from tests.reports.claims.verdicts import verdict
from tests.reports.stores import row


def onset(n: int, first: int, d: int = 16):
    """Return pure-noise rows over p that fit every label from `first` on."""
    made = []
    for p in (n // 10, n // 5, n // 2, n, 2 * n, 20 * n):
        error, reason = (0.0, "interpolated") if p >= first else (0.2, "epoch_cap")
        made.append(row(p, n, d, stop_rule="interpolate", stop_reason=reason, train_error=error))
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ns", "first", "expected"),
    [
        ((100, 1000), 1, "supported"),
        ((100, 1000), 2, "supported"),
        ((100,), 1, "undecided"),  # one n says nothing of proportion
        # a bracket of 2 to 20: too coarse, and perhaps too short a training
        ((100, 1000), 20, "undecided"),
        ((100, 1000), 0.1, NOT_TESTED),  # fitted at the smallest size: no bracket
        ((100, 1000), 0.2, "contradicted"),
    ],
)
def test_c1_brackets_the_onset(tmp_path, ns, first, expected):
    rows = [r for n in ns for r in onset(n, int(first * n))]
    assert verdict(tmp_path, rows, "C1").verdict == expected


@pytest.mark.slow
def test_c1_needs_pure_noise(tmp_path):
    assert (
        verdict(tmp_path, [r | {"sigma2": 0.64} for r in onset(100, 100)], "C1").verdict
        == NOT_TESTED
    )


@pytest.mark.slow
def test_one_bracket_beyond_the_range_leaves_its_n_open(tmp_path):
    """At n = 100 one curve fits at p = n, another d only between 2n and 20n."""
    rows = onset(100, 100) + onset(1000, 1000)
    assert verdict(tmp_path / "a", rows, "C1").verdict == "supported"
    assert verdict(tmp_path / "b", rows + onset(100, 2000, d=64), "C1").verdict == "undecided"
