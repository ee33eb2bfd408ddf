"""The section "Claims, checked against these rows": every number in it comes from rows.

Run alone: python -m pytest tests/reports/sections/test_claims.py
"""

import re

import pytest

from reports.claims import CHECKED
from reports.measures import MEASURES
from tests.reports.claims.recomputed import recomputed
from tests.reports.ledger import check_section
from tests.reports.published.published_figures import ACCURACIES, MADRY, MODELS


@pytest.mark.slow
def test_every_number_is_recomputed_from_rows(rich):
    check_section(rich, "claims", recomputed)


@pytest.mark.slow
def test_the_claims_hold_no_number_outside_the_ledger(rich):
    page, _ = rich
    # the contents list names the chapter too
    left = page.prose().rpartition("Claims, checked against these rows")[2]
    left, found, _ = left.partition("Audit: how firm all this is")
    assert found and left
    static = [part for s in (c.STATEMENT for c in CHECKED) for part in s if part] + [
        m.name for m in MEASURES
    ]
    static += [*MODELS, *(a["benchmark"] for a in ACCURACIES)]
    static += MADRY["attack"].tolist() + [
        "trained against pgd 0.3",
        "±1 target",
        "10 classes, 30 % resampled",
        "256 classes, 30 % resampled",
        "10 classes",
        "90 %",
        "95 %",
        "side of 0",
        "b_d = b from 0",
        "contain 0",
        "too few for an interval (at least 6)",
    ]

    for phrase in sorted(static, key=len, reverse=True):
        left = left.replace(phrase, "")
    left = re.sub(r"\bC\d+[ab]?\b|\d+ combinations of n and d are|all \d+ findings", "", left)
    assert not re.findall(r"\d+", left), re.findall(r".{30}\d+.{10}", left)
