"""What the report does for each row costs the same however many rows there are.

Run alone: python -m pytest tests/reports/test_many_rows.py
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.store.records import SweepRecord
from harness.store.store import Store
from reports.charts.trial_texts import trial_texts
from reports.entries import entries, has_entries, in_arrow
from reports.evidence import read_evidence
from tests.reports.language_rows import text_row
from tests.reports.stores import corruption, make_store, row


def test_a_sweeps_files_are_named_once_and_not_for_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A stem is a hash of all the sweep's trials, wanted where two sweeps share a name."""
    stem = SweepRecord.stem.fget
    asked = []

    def counted(sweep: SweepRecord) -> str:
        asked.append(sweep.name)
        return stem(sweep)  # pyright: ignore[reportOptionalCall]

    folder = make_store(tmp_path / "store", [row(p) for p in range(10, 60)])
    other = SweepRecord(name="made", text="other", task_source=None, trials={"0" * 16: "sphere"})
    Store.open(folder).put_sweep(other)
    evidence = read_evidence(folder)
    monkeypatch.setattr(SweepRecord, "stem", property(counted))
    texts = trial_texts(evidence, set(evidence.trials["trial_id"]))
    assert len(texts.trials) == 50 and asked == ["made", "made"]


def test_a_trial_is_run_again_from_the_first_sweep_that_asked_for_it(tmp_path: Path):
    rows = [row(10), row(20), row(30)]
    ids = [r["trial_id"] for r in rows]
    folder = make_store(tmp_path / "a store", rows, sweep=False)
    records = [
        SweepRecord(name="one", text="a", task_source=None, trials={ids[0]: "sphere"}),
        SweepRecord(name="two", text="b", task_source="x", trials=dict.fromkeys(ids[:2], "mine")),
    ]
    for record in records:
        Store.open(folder).put_sweep(record)
    texts = trial_texts(read_evidence(folder), set(ids))

    def command(trial: str) -> str:
        before, after = texts.commands[texts.trials[trial][-1]]
        return before + trial + after

    assert command(ids[0]) == f"unilaw run one.yaml --trial {ids[0]} --store rerun"
    assert command(ids[1]) == (
        f"unilaw run two.yaml --trial {ids[1]} --store rerun --task-file two.py"
    )
    assert texts.trials[ids[2]][-1] == -1


# Lists of structs


ENTRIES = [
    [corruption("blur", 3, 0.4), corruption("shift", 3, 0.3)],
    None,
    [],
    [corruption("blur", 1, 0.5), {**corruption("blur", 3, 0.2), "accuracy": None}],
]


@pytest.mark.parametrize("as_arrow", [False, True])
def test_entries_know_their_rows(tmp_path: Path, as_arrow: bool):
    rows = [row(10 + k, corruptions=c) for k, c in enumerate(ENTRIES)]
    store = Store.open(make_store(tmp_path / "store", rows))
    column = store.read(None, in_arrow if as_arrow else None).rows.sort_values("p")["corruptions"]
    assert isinstance(column.dtype, pd.ArrowDtype) == as_arrow

    found = entries(column, "kind", "severity", "accuracy")
    assert list(found["row"]) == [0, 0, 3, 3]
    assert list(found["kind"]) == ["blur", "shift", "blur", "blur"]
    assert found["accuracy"].tolist()[:3] == [0.4, 0.3, 0.5] and np.isnan(found["accuracy"][3])
    assert has_entries(column).tolist() == [True, False, False, True]

    part = entries(column.iloc[[3, 0]], "severity")
    assert list(part.itertuples(index=False, name=None)) == [(0, 1), (0, 3), (1, 3), (1, 3)]


def test_lists_of_structs_stay_in_arrow_until_they_are_shown(tmp_path: Path):
    """As Python objects they took most of the 54 kB that each row took."""
    rows = [row(10, corruptions=ENTRIES[0]), text_row(300, 0, 0.5)]
    trials = read_evidence(make_store(tmp_path / "store", rows)).trials
    assert "corruptions" not in trials, "each has a column of its own"
    for column in ("token_changes", "pictures", "params_by_group"):
        assert isinstance(trials[column].dtype, pd.ArrowDtype), column
    assert sorted(trials["corruption_blur"].dropna()) == sorted(
        c["accuracy"]
        for r in rows
        for c in r.get("corruptions") or []
        if c["kind"] == "blur" and c["severity"] == 3
    )
    assert trials["kl_far_token"].notna().sum() == 1
