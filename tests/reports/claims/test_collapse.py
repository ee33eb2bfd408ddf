"""C2b: whether stability collapses on p/(n·d), and which sentence each truth gets.

Run alone: python -m pytest tests/reports/claims/test_collapse.py
"""

import pytest

from tests.reports.claims.verdicts import verdict
from tests.reports.stores import power_law

NS = (100, 200, 400)
DS = (8, 16, 32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("b", "b_n", "b_d", "expected", "sentence"),
    [
        (0.4, 0.4, 0.4, "supported", "depends on p/(n·d)"),
        (0.4, 0.4, 0.0, "contradicted", "depends on p/n and not on p/(n·d)"),
        (0.1, 0.5, 0.1, "contradicted", "depends on something else than p/(n·d)"),
        (0.0, 0.0, 0.0, "undecided", "cannot tell"),
    ],
)
def test_c2b_follows_the_collapse_test(tmp_path, b, b_n, b_d, expected, sentence):
    claim = verdict(tmp_path, power_law(b, b_n, b_d, 0.02, ns=NS, ds=DS), "C2b")
    assert claim.verdict == expected
    assert sentence in str(claim.findings[0])


@pytest.mark.slow
def test_c2b_is_undecided_without_several_d(tmp_path):
    claim = verdict(tmp_path, power_law(0.4, 0.4, spread=0.02, ns=NS), "C2b")
    assert claim.verdict == "undecided" and "too few for an interval" in str(claim.findings[0])


@pytest.mark.slow
def test_c2b_says_what_it_could_have_told(tmp_path):
    """With much noise and a small exponent it cannot tell, and says how likely it was to."""
    claim = verdict(tmp_path, power_law(0.05, 0.05, 0.05, 0.5, ns=NS, ds=DS), "C2b")
    power = claim.findings[0].parts["power"].value
    assert claim.verdict == "undecided" and 0.01 < power < 0.8
