"""Failures of a task that was mended do not stay in `status` for ever.

Run alone: python -m pytest tests/terminal/test_replaced_failures.py
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.store.records import SweepRecord, still_asked
from harness.store.store import Store
from harness.terminal.status import Status, status, status_table
from tests.reports.stores import NOW, failed, make_store, row

LATER = NOW + timedelta(hours=1)


def identified(made: dict[str, Any], trial_id: str, **changes: Any) -> dict[str, Any]:
    return {**made, "trial_id": trial_id * 16, **changes}


BROKEN = [identified(failed(p=p), trial_id) for p, trial_id in ((10, "a"), (20, "b"))]
"""What the task did before it was mended."""

MENDED = [identified(row(p), trial_id, finished_at=LATER) for p, trial_id in ((10, "c"), (20, "d"))]
"""The same configurations and seeds by the task's new code, so that they have other ids."""


def store_of(folder: Path, rows: list[dict[str, Any]], *sweeps: str) -> Store:
    """Return a store with a record for each run of a sweep: of its name, and its trials' ids."""
    store = Store.open(make_store(folder, rows, sweep=False))
    for k, sweep in enumerate(sweeps):
        name, _, ids = sweep.partition(":")
        trials = {trial_id * 16: "sphere" for trial_id in ids}
        store.put_sweep(SweepRecord(name=name, text=str(k), task_source=None, trials=trials))
    return store


def counts(found: Status) -> list[tuple[int, dict[str, int], int]]:
    return [(task.done, dict(task.failed), task.left) for task in found.tasks]


def test_a_mended_tasks_failures_are_not_counted_and_not_left(tmp_path: Path):
    store = store_of(tmp_path / "store", [*BROKEN, *MENDED], "small:ab", "small:cd")
    found = status(store)
    assert counts(found) == [(2, {}, 0)]
    assert found.replaced == 2 and found.rows == 4
    assert "not counted: 2 earlier failures, whose trials have been replaced" in status_table(found)


def test_a_failure_that_has_not_run_again_stays(tmp_path: Path):
    store = store_of(tmp_path / "store", [*BROKEN, MENDED[0]], "small:ab", "small:cd")
    found = status(store)
    assert counts(found) == [(1, {"bug": 1}, 1)]


def test_a_failure_whose_trial_has_a_new_id_is_not_counted_beside_it(tmp_path: Path):
    """The bug is fixed, and the sweep was begun again: what failed is what is left."""
    store = Store.open(make_store(tmp_path / "store", [*BROKEN, MENDED[0]], sweep=False))
    for k, ids in enumerate(("ab", "cd")):
        trials = {trial_id * 16: "sphere" for trial_id in ids}
        store.put_sweep(SweepRecord(name="small", text="", task_source=str(k), trials=trials))
        record = Path(store.where) / f"{store.sweeps()[-1].stem}.json"
        os.utime(record, (k, k))
    found = status(store)
    assert counts(found) == [(1, {}, 1)] and found.replaced == 2 and found.rows == 3


def test_a_trial_that_never_ran_under_its_old_id_is_not_left(tmp_path: Path):
    asked = [("small", "text", "ab"), ("small", "text", "cd"), ("small", "text", "d")]
    store = Store.open(make_store(tmp_path / "store", [MENDED[0]], sweep=False))
    for k, (name, text, ids) in enumerate(asked):
        trials = {trial_id * 16: "sphere" for trial_id in ids}
        store.put_sweep(SweepRecord(name=name, text=text, task_source=str(k), trials=trials))
        record = Path(store.where) / f"{store.sweeps()[-1].stem}.json"
        os.utime(record, (k, k))  # one after the other, on any clock
    assert counts(status(store)) == [(1, {}, 1)], "d alone is left: a and b are outdated"


def test_a_trial_asked_for_alone_takes_no_others_place(tmp_path: Path):
    whole = {trial_id * 16: "sphere" for trial_id in "ab"}
    of_one = {"a" * 16: "sphere"}
    edited = {trial_id * 16: "sphere" for trial_id in "ef"}
    records = [
        SweepRecord(name="small", text=text, task_source=None, trials=trials)
        for text, trials in (("text", whole), ("text", of_one), ("edited", edited))
    ]
    assert still_asked(records) == {trial_id * 16 for trial_id in "abef"}
    assert still_asked(records[1:]) == {trial_id * 16 for trial_id in "aef"}
    assert still_asked([]) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"task": "mnist"},
        {"config_json": "{}"},
        {"finished_at": NOW - timedelta(hours=1)},
    ],
    ids=["another seed", "another task", "another configuration", "an older row"],
)
def test_only_a_newer_row_of_the_same_trial_counts(tmp_path: Path, other: dict[str, Any]):
    rows = [BROKEN[0], {**MENDED[0], **other}]
    store = store_of(tmp_path / "store", rows, "small:a", "small:c")
    assert sum(task.failed.total() for task in status(store).tasks) == 1


def test_of_two_failures_the_newer_counts(tmp_path: Path):
    again = identified(failed(p=10), "c", finished_at=LATER, failure_kind="oom")
    store = store_of(tmp_path / "store", [BROKEN[0], again], "small:a", "small:c")
    assert counts(status(store)) == [(0, {"oom": 1}, 0)]


def test_rows_are_not_read_where_no_sweep_was_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Status has to be quick on a million rows."""
    store = store_of(tmp_path / "store", [*BROKEN, *MENDED], "small:ab", "other:cd")
    read = store.read
    asked = []
    monkeypatch.setattr(store, "read", lambda *columns: asked.append(columns) or read(*columns))
    assert counts(status(store)) == [(2, {"bug": 2}, 0)]
    assert len(asked) == 1
