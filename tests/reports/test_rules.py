"""The rules' version changes with the rules, and the page says whether they are older than the
rows.

Run alone: python -m pytest tests/reports/test_rules.py
"""

from pathlib import Path

import pandas as pd
import pytest

from harness.store import provenance
from harness.store.rules import RULES
from reports import frontier, frontier_answer, rules, search_gap, verdicts
from reports.fits import collapse, forms, plane, shapes
from reports.rules import rules_hash, rules_sentence


def test_the_version_stands_for_the_rules_as_they_are():
    """Whoever changes a rule gives it the next version, its date, and this hash."""
    assert rules_hash() == RULES.hash


@pytest.mark.parametrize(
    ("module", "name", "other"),
    [
        (verdicts, "NARROW", 0.2),
        (verdicts, "RULE", "another rule"),
        (forms, "RULE", "another rule"),
        (shapes, "SIZES_EACH_SIDE", 1),
        (frontier_answer, "RULE", "another rule"),
        (frontier_answer, "STEADY", 0.3),
        (frontier_answer, "VERDICTS", ("always attained",)),
        (frontier, "SHARE", 0.9),
        (collapse, "TESTS", 1),
        (plane, "RULE", "another rule"),
        (rules, "LEARNT", 0.8),
        (plane, "TOLERANCE", 0.5),
        (plane, "NEGLIGIBLE", 0.1),
        (plane, "MIN_CELLS", 8),
        (plane, "COLLINEAR", 0.9),
        (search_gap, "LEVEL", 0.9),
        (search_gap, "LEAST_SHARE", 0.01),
        (search_gap, "FILE", Path(__file__)),
    ],
)
def test_another_rule_is_another_hash(monkeypatch, module, name, other):
    monkeypatch.setattr(module, name, other)
    assert rules_hash() != RULES.hash


def test_every_verdict_on_a_frontier_is_among_the_rules():
    stated = {v for k, v in vars(frontier_answer).items() if k.isupper() and isinstance(v, str)}
    variables = {frontier_answer.BY_LAW, frontier_answer.BY_SAMPLES, frontier_answer.BY_NEURONS}
    others = variables | {frontier_answer.RULE, frontier_answer.CANNOT_TELL}
    assert stated - others == set(frontier_answer.VERDICTS)


def test_every_row_names_the_rules_of_its_time():
    assert provenance.of_code()["rules"] == RULES.name == f"{RULES.version} ({RULES.hash})"


@pytest.mark.parametrize(
    ("hours", "named", "expected"),
    [
        ((1, 2), (None, None), "All 2 rows name these rules or are newer; the first row is of"),
        ((-1, -2), (RULES.name, RULES.name), "All 2 rows name these rules or are newer"),
        ((-1, -2), (None, None), "All 2 rows were measured before, under rules that they do not"),
        ((-1, -2), ("1 (abc)", None), "under version 1 (abc), rules that they do not name"),
        ((-1, 1), ("2 (27ee6019a853)", None), "1 of 2 rows were measured before, under version 2"),
    ],
)
def test_the_page_says_which_came_first(hours, named, expected):
    trials = pd.DataFrame(
        {
            "trial_id": ["a", "b"],
            "rules": named,
            "finished_at": [pd.Timestamp(RULES.since) + pd.Timedelta(hours=h) for h in hours],
        }
    )
    sentence = str(rules_sentence(trials))
    assert expected in sentence and RULES.hash in sentence
