"""C6: where the test error levels off.

Run alone: python -m pytest tests/reports/claims/test_limit.py
"""

import numpy as np
import pytest

from reports.claims import NOT_TESTED
from tests.reports.claims.verdicts import digits, verdict


def levelling(
    limit: float, n: int = 60_000, sizes=(1000, 3000, 10_000, 30_000, 100_000, 300_000), **changes
):
    """Return rows on digits whose test error falls like p^-0.8 to a limit."""
    return [
        r | {"test_n": 10_000} | changes
        for r in digits({p: 1 - limit - 30 * p**-0.8 for p in sizes}, n)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (levelling(0.01), "contradicted"),
        (levelling(0.01, n=4000), "undecided"),  # more digits might do it
        (levelling(0.0), "undecided"),  # an extrapolation supports nothing
        (levelling(0.01, sizes=(1000, 3000, 10_000, 30_000)), NOT_TESTED),
        (
            levelling(0.01) + [r | {"test_n": 10_000} for r in digits({5_000_000: 1.0}, 60_000)],
            "contradicted",
        ),
        (
            levelling(0.0, n=4000) + [r | {"test_n": 10_000} for r in digits({20_000_000: 1.0})],
            "supported",
        ),
        # fewer digits, an easier test
        (
            levelling(0.0, n=4000) + [r | {"test_n": 10_000} for r in digits({2_000_000: 1.0})],
            "undecided",
        ),
        (levelling(0.01) + levelling(0.0, n=4000), "contradicted"),  # the largest n of a kind
        (levelling(0.01, epsilon=0.1), NOT_TESTED),
    ],
)
def test_c6_asks_where_the_error_levels_off(tmp_path, rows, expected):
    assert verdict(tmp_path, rows, "C6").verdict == expected


@pytest.mark.slow
def test_c6_says_that_it_extrapolates_and_from_where(tmp_path):
    (sentence,) = verdict(tmp_path, levelling(0.01), "C6").findings
    assert sentence.parts["limit"].value == pytest.approx(0.01, rel=1e-3) and sentence.parts[
        "at"
    ].value == pytest.approx(0.01 + 30e7**-0.8, rel=1e-2)
    assert "extrapolated from 6 sizes, p = 1,000 to 300,000" in str(sentence)
    (sentence,) = verdict(
        tmp_path / "b", levelling(0.01, sizes=(1000, 10_000, 100_000, 1_000_000, 20_000_000)), "C6"
    ).findings
    assert "fitted to 5 sizes" in str(sentence) and "extrapolated" not in str(sentence)


@pytest.mark.slow
def test_c6_claims_no_floor_where_a_form_without_one_predicts_as_well(tmp_path):
    """Error that falls like a power of ln p, with 3 % of noise, has no floor."""
    rng = np.random.default_rng(0)
    sizes = (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
    rows = [
        r | {"test_n": 10_000}
        for r in digits(
            {p: 1 - 40 * np.log(p) ** -3.5 * np.exp(0.03 * rng.standard_normal()) for p in sizes},
            60_000,
        )
    ]
    claim = verdict(tmp_path, rows, "C6")
    assert claim.verdict == "undecided" and "so no floor is claimed" in str(claim.findings[0])
