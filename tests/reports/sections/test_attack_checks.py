"""Warnings of the searches and broken certificates: counted, named, and never hidden.

Run alone: python -m pytest tests/reports/sections/test_attack_checks.py
"""

import pandas as pd
import pytest

from reports.evidence import read_evidence
from reports.sections import attack_checks, header
from reports.sections.attack_checks import check_attacks
from tests.reports.ledger import check_section, name_of
from tests.reports.page_reader import section_of
from tests.reports.stores import make_store, of_schema_2, row


def checked(tmp_path, rows):
    return check_attacks(read_evidence(make_store(tmp_path / "store", rows)))


def test_warnings_are_counted_by_sort_and_kind(tmp_path):
    rows = [
        row(
            1,
            attack_warnings=[
                "no gradient at 12 % of the points",
                "no label change found for 3 points",
            ],
        ),
        row(2, attack_warnings=["no gradient at 7.5 % of the points"]),
        row(3, attack_warnings=["no gradient at 50 % of the points"], family="other"),
        row(4),
    ]

    found = checked(tmp_path, rows)
    ids = [r["trial_id"] for r in rows]
    assert found.checked is not None and found.checked.value == 4
    assert {
        (w.text, w.kind.split(",")[0]): (w.number.value, sorted(w.trials)) for w in found.warned
    } == {
        ("no gradient at 7.5 to 12 % of the points", "sphere"): (2, sorted(ids[:2])),
        ("no gradient at 50 % of the points", "other"): (1, [ids[2]]),
        ("no label change found for 3 points", "sphere"): (1, [ids[0]]),
    }


def test_a_warning_may_hold_any_text(tmp_path):
    """Addresses, dots without end, thousands and an … of its own, as a damaged row may have."""
    texts = ["at 10.1.2.3 and 1.2..3", "so far … 1,234 points", "so far … 999 points", "1,2 ."]
    rows = [row(p, attack_warnings=[text]) for p, text in enumerate(texts, 1)]
    assert sorted(w.text for w in checked(tmp_path, rows).warned) == [
        "1,2 .",
        "at 10.1.2.3 and 1.2..3",
        "so far … 999 to 1,234 points",
    ]


def test_a_trial_with_the_same_sort_twice_counts_once(tmp_path):
    (found,) = checked(
        tmp_path, [row(attack_warnings=["missed 3 points", "missed 4 points"])]
    ).warned
    assert found.number.value == 1


@pytest.mark.slow
def test_rows_that_lack_the_column_do_not_count_as_free_of_warnings(tmp_path):
    assert checked(tmp_path, of_schema_2([row(1)])) == (None, [], None, [], None, [])
    mixed = checked(tmp_path / "b", [*of_schema_2([row(1)]), row(2)])
    assert mixed.checked is not None and mixed.checked.value == 1


@pytest.mark.slow
@pytest.mark.parametrize(("violations", "alarm"), [((0, 0), False), ((0, 2), True)])
def test_broken_certificates_are_an_alarm_at_the_top(tmp_path, violations, alarm):
    rows = [
        row(p, stability_certified_violations=v, measure_points=100)
        for p, v in zip((1, 2), violations, strict=True)
    ]
    folder = make_store(tmp_path / "store", [*rows, row(3, stability_certified_violations=None)])
    found = check_attacks(read_evidence(folder))

    assert found.violations is not None and found.certified is not None
    assert (found.violations.value, found.certified.value) == (sum(violations), 200)
    assert found.violators == ([rows[1]["trial_id"]] if alarm else [])

    top = section_of(header, folder)
    assert top is not None
    assert ("cannot be trusted" in top.html and rows[1]["trial_id"] in top.html) == alarm


@pytest.mark.slow
def test_reasons_for_a_missing_upper_bound_are_counted(tmp_path):
    note = "no bound is known for <Softmax>"
    folder = make_store(
        tmp_path / "store", [row(1, lip_upper_note=note), row(2, lip_upper_note=note), row(3)]
    )
    ((reason, count),) = check_attacks(read_evidence(folder)).unbounded
    assert (reason, count.value) == (note, 2)

    section = section_of(attack_checks, folder)
    assert section is not None
    assert "&lt;Softmax&gt;" in section.html and "<Softmax>" not in section.html


@pytest.mark.slow
def test_every_number_is_recomputed_from_rows(rich):
    check_section(rich, "trust", recomputed)


def recomputed(key: str, used: pd.DataFrame, rows: pd.DataFrame, ledger: dict) -> float:
    name = name_of(key)
    ok = rows[rows["status"] == "ok"]
    known = ok[ok["attack_warnings"].notna()]
    saying = {"missed … points": "missed", "no gradient at … % of the points": "no gradient"}
    if name in saying:
        assert all(any(w.startswith(saying[name]) for w in row) for row in used["attack_warnings"])
        return sum(any(w.startswith(saying[name]) for w in row) for row in known["attack_warnings"])
    if key.startswith("attacks:unbounded:"):
        return (ok["lip_upper_note"] == key.removeprefix("attacks:unbounded:")).sum()
    certified = ok[ok["stability_certified_violations"].notna()]
    return {
        "checked": len(known),
        "violations": 0,
        "certified": certified["measure_points"].sum(),
    }[name]
