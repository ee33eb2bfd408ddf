"""The claims as a whole: verdicts over several sets of rows, and stores without rows.

Run alone: python -m pytest tests/reports/claims/test_claims.py
"""

import pytest

from reports.claims import NOT_TESTED, check_claims
from reports.claims.claim import verdict_over
from reports.evidence import read_evidence
from reports.law import fit_all
from tests.reports.stores import make_store


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["supported", "supported"], "supported"),
        (["supported", "undecided"], "undecided"),
        (["supported", "contradicted"], "contradicted"),
        (["undecided", "contradicted"], "contradicted"),
    ],
)
def test_a_verdict_over_several_sets_of_rows(parts, expected):
    assert verdict_over(parts) == expected


@pytest.mark.slow
def test_claims_without_rows_are_not_tested(tmp_path):
    evidence = read_evidence(make_store(tmp_path / "store", []))
    claims = check_claims(evidence, fit_all(evidence.trials))
    keys = ["C1", "C2a", "C2b", *(f"C{i}" for i in range(3, 12))]
    assert [c.statement.key for c in claims] == keys

    published = {c.statement.key: c.verdict for c in claims if c.verdict != NOT_TESTED}
    assert published == {"C7": "arithmetic only", "C9": "supported"}
    assert all(c.statement.rule for c in claims)
