"""Conditions on rows: what fits them, and what a mistake is told.

Run alone: python -m pytest tests/reports/test_where.py
"""

import json
from pathlib import Path

import pandas as pd
import pytest

from harness.errors import UserError
from reports.evidence import read_evidence
from reports.sections.counts import count_trials
from reports.where import fitting, parse, refuse_nothing
from tests.reports.stores import failed, make_store, row

ROWS = pd.DataFrame(
    {
        "task": ["sphere", "sphere", "mnist", "mnist"],
        "p": [10, 20, 30, 40],
        "n": [100.0, 100.0, None, 400.0],
        "below_noise": [True, False, None, True],
        "finished_at": [*pd.date_range("2026-01-01", periods=3, freq="MS", tz="UTC"), pd.NaT],
        "config_json": [
            json.dumps(config)
            for config in (
                {"lr": 0.1, "adversary": None},
                {"lr": 0.01, "adversary": None},
                {"lr": 0.1, "adversary": "pgd", "augment": True},
                {"lr": 0.1},
            )
        ],
    }
)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("task=mnist", [2, 3]),
        ("task = sphere , mnist", [0, 1, 2, 3]),
        ("task!=mnist", [0, 1]),
        ("p<20", [0]),
        ("p<=2e1", [0, 1]),
        ("p>20", [2, 3]),
        ("p>=20", [1, 2, 3]),
        ("p==20", [1]),
        ("n=100", [0, 1]),
        ("n!=100", [3]),
        ("n>=100", [0, 1, 3]),
        ("n=none", [2]),
        ("n!=none", [0, 1, 3]),
        ("lr=0.1", [0, 2, 3]),
        ("lr=.01,0.2", [1]),
        ("adversary=none", [0, 1, 3]),
        ("adversary=pgd,none", [0, 1, 2, 3]),
        ("adversary!=none", [2]),
        ("augment=true", [2]),
        ("below_noise=yes", [0, 3]),
        ("below_noise=false", [1]),
        ("finished_at<2026-02-01", [0]),
    ],
)
def test_a_condition_chooses_these_rows(text: str, fits: list[int]):
    assert list(ROWS.index[fitting(ROWS, [parse(text)])]) == fits


def test_conditions_hold_together():
    assert list(ROWS.index[fitting(ROWS, [parse("lr=0.1"), parse("p>10")])]) == [2, 3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr", "--where 'lr': must be FIELD=VALUE"),
        ("=3", "must be FIELD=VALUE"),
        ("lr=", "a value is missing after '='"),
        ("lr=1,", "a value is missing"),
        ("p<1,2", "'<' takes one value, not 2"),
        ("learning=1", "no trial has a field 'learning'; the configurations have adversary"),
        ("tsak=mnist", "did you mean 'task'?"),
        ("lrr=1", "did you mean 'lr'?"),
        ("p=many", "'p' must be a number, not 'many'"),
        ("below_noise=maybe", "'below_noise' must be true or false, not 'maybe'"),
        ("task<3", "'task' is no number; use = or !="),
        ("finished_at>soon", "'finished_at' must be a time such as"),
    ],
)
def test_a_mistake_is_named(text: str, words: str):
    with pytest.raises(UserError) as refused:
        fitting(ROWS, [parse(text)])
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_the_evidence_is_of_the_chosen_trials_alone(tmp_path: Path):
    rows = [row(p, settings={"lr": lr}) for p in (10, 20) for lr in (0.1, 0.2)]
    store = make_store(tmp_path / "store", [*rows, failed(p=7, trial_id="f" * 16)])
    evidence = read_evidence(store, where=["lr=0.1", "p>10"])
    assert evidence.trials["p"].tolist() == [20] and evidence.failures.empty

    counts = count_trials(evidence)
    assert (counts["ok"].value, counts["failed"].value, counts["attempts"].value) == (1, 0, 1)
    assert counts["left"].value == 0, "what is left out is not what is left to do"


def test_without_a_row_the_condition_is_named(tmp_path: Path):
    store = make_store(tmp_path / "store", [row(10, settings={"lr": 0.1}), row(20)])
    for where, words in (
        (["p=10", "p=30"], "--where 'p=30': none of the 2 trials fits; 'p' has the values 10, 20"),
        (["p=20", "lr=0.1"], "'p=20' and 'lr=0.1': none of the 2 trials fits them together"),
    ):
        with pytest.raises(UserError, match=words):
            read_evidence(store, where=where)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("model=6 Enc, 6 Dec", [0]),
        ("model!=6 Enc, 6 Dec", [1, 2]),
        ("model=6 Enc", [2]),
        ("model=6 Enc,28 Enc", [1, 2]),
    ],
)
def test_a_text_with_commas_is_one_value_where_the_field_has_it(text: str, fits: list[int]):
    rows = pd.DataFrame({"model": ["6 Enc, 6 Dec", "28 Enc", "6 Enc"]})
    assert list(rows.index[fitting(rows, [parse(text)])]) == fits


def test_values_with_commas_are_quoted_in_a_message():
    rows = pd.DataFrame({"model": ["6 Enc, 6 Dec", "28 Enc, 6 Dec"]})
    with pytest.raises(UserError, match="has the values '28 Enc, 6 Dec', '6 Enc, 6 Dec'"):
        refuse_nothing(rows, [parse("model=7 Enc")])
