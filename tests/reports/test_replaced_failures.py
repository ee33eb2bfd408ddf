"""Failures of a task that was mended leave the report's list, and their cells enter fits again.

Run alone: python -m pytest tests/reports/test_replaced_failures.py
"""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from harness.store.store import Store, SweepRecord
from reports.evidence import read_evidence
from reports.law import Fits
from reports.sections import failures
from reports.sections.counts import count_trials
from tests.reports.stores import NOW, failed, make_store, power_law, row

NO_FITS = Fits([], {}, [])


@pytest.mark.slow
def test_a_mended_tasks_failures_are_counted_and_not_listed(tmp_path: Path):
    later = NOW + timedelta(hours=1)
    over = {**failed(p=400), "trial_id": "a" * 16, "failure_message": "the mended one"}
    open_still = {**failed(p=7), "trial_id": "b" * 16, "failure_message": "the open one"}
    good = [{**r, "finished_at": later} for r in power_law(0.3, ps=(100, 200, 400, 800, 1600))]
    evidence = read_evidence(make_store(tmp_path / "store", [over, open_still, *good]))

    assert list(evidence.failures["trial_id"]) == ["b" * 16]
    assert evidence.replaced == {"a" * 16}
    assert evidence.trials["complete"].all(), "the mended cell is whole again"
    assert evidence.trials.loc[evidence.trials["p"].eq(400), "in_fit"].all()

    counts = count_trials(evidence)
    assert (counts["failed"].value, counts["replaced"].value, counts["left"].value) == (1, 1, 0)
    html = str(failures.section(evidence, NO_FITS).html)
    assert "the open one" in html and "the mended one" not in html
    assert "1</data> earlier failures. Their configuration and seed have run" in html


@pytest.mark.slow
def test_failures_that_their_sweep_no_longer_asks_for_are_counted_and_not_listed(tmp_path: Path):
    """The mended task has one field more, so neither the ids nor the configurations are equal."""
    gone, kept = "a" * 16, "b" * 16
    rows = [
        failed(p=7, trial_id=gone, failure_message="the mended one"),
        failed(p=9, trial_id=kept),
    ]
    folder = make_store(tmp_path / "store", [*rows, row(10, settings={"new": 1})], sweep=False)
    mended = row(10, settings={"new": 1})["trial_id"]
    store = Store.open(folder)
    for k, (name, trial) in enumerate((("sweep", gone), ("other", kept), ("sweep", mended))):
        asked = {trial: "sphere"}
        record = SweepRecord(name=name, text="text", task_source=None, trials=asked)
        store.put_sweep(record)
        os.utime(folder / f"{record.stem}.json", (k, k))

    evidence = read_evidence(folder)
    assert list(evidence.failures["trial_id"]) == [kept] and evidence.replaced == {gone}
    html = str(failures.section(evidence, NO_FITS).html)
    assert "their sweep now asks for other trials" in html and "the mended one" not in html
    rows_there = store.read().rows
    assert gone in set(rows_there["trial_id"]), "the failure stays in the rows"


def test_without_any_the_page_says_nothing_of_it(tmp_path: Path):
    evidence = read_evidence(make_store(tmp_path / "store", [row(10)]))
    html = str(failures.section(evidence, NO_FITS).html)
    assert "No trial failed." in html and "earlier" not in html
