"""`unilaw run` on Ray, end to end: every kind of failure beside good trials, running again, and the
same figures inline.

Every command runs in a folder that holds packages named like ours, each of which raises when it is
imported.

Run alone: python -m pytest tests/on_ray/test_run.py
"""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import safetensors

from harness.store.latest import latest
from harness.store.provenance import VARIABLES
from harness.store.schema import SCHEMA_VERSION
from harness.store.store import Store
from harness.terminal.status import status
from tests import FAILING_TASK
from tests.on_ray.mixed_run import Ran, rows_of

LATE = """\
name: late
seeds: [0]
limits: {seconds_per_trial: 1}
tasks:
  - task: trouble
    grid: {how: [raise, wait]}
"""


pytestmark = pytest.mark.ray


def attempts_at(rows: pd.DataFrame, how: str) -> list[dict[str, Any]]:
    """Return the rows of the trial that goes wrong in this way, None for what is null."""
    same = [json.loads(str(text)).get("how") == how for text in rows["config_json"]]
    rows = rows[same].sort_values("attempt").astype(object)
    records = rows.where(rows.notna(), None).to_dict("records")
    return [{str(name): value for name, value in record.items()} for record in records]


# Failures beside good trials


def test_the_run_ends_with_counts_and_exit_code_1(mixed: Ran):
    assert mixed.process.returncode == 1, mixed.process.stderr
    assert mixed.process.stdout.startswith(
        "5 ok, 4 failed (2 bug, 1 crash, 1 nan), 0 finished before"
    )
    assert len(mixed.process.stdout.splitlines()) == 1, (
        "stdout is for results; what Ray says of dead workers is not there"
    )
    assert "Traceback" not in mixed.process.stderr


KINDS = {
    "raise": (["bug"], "LookupError: the cat sat on it (my_tasks.py:"),
    "exit": (["bug"], "SystemExit: enough"),
    "nan": (["nan"], "the training loss is inf after epoch 1"),
    "kill": (["crash", "crash"], "the worker process died"),
}


@pytest.mark.parametrize(("how", "expected"), KINDS.items(), ids=KINDS.keys())
def test_each_failure_is_a_row_per_attempt(mixed: Ran, how: str, expected: tuple[list[str], str]):
    rows = attempts_at(mixed.rows, how)
    assert [r["failure_kind"] for r in rows] == expected[0]
    assert [r["attempt"] for r in rows] == list(range(1, len(rows) + 1))
    for row in rows:
        assert row["status"] == "failed"
        assert expected[1] in row["failure_message"]
        assert row["weights_file"] is None and row["p"] is None
        assert row["wall_s"] > 0 and row["ray_version"]


def test_a_trial_that_crashes_once_is_ok_at_its_second_attempt(mixed: Ran):
    rows = attempts_at(mixed.rows, "kill-once")
    assert [(r["attempt"], r["status"], r["failure_kind"]) for r in rows] == [
        (1, "failed", "crash"),
        (2, "ok", None),
    ]


def test_every_trial_asked_for_has_a_row(mixed: Ran):
    assert set(mixed.rows["trial_id"]) == {t.trial_id for t in mixed.sweep.trials}
    view = latest(mixed.rows)
    assert view["status"].value_counts().to_dict() == {"ok": 5, "failed": 4}
    assert set(view["sweep"]) == {"mixed"} and set(view["schema_version"]) == {SCHEMA_VERSION}


def test_weights_are_in_the_store(mixed: Ran):
    ok = latest(mixed.rows).query("status == 'ok'")
    for row in ok.to_dict("records"):
        path = mixed.store / row["weights_file"]
        with safetensors.safe_open(path, framework="numpy") as weights:
            shapes = [weights.get_slice(key).get_shape() for key in weights.keys()]
        assert sum(map(math.prod, shapes)) == row["p"] + row["p_frozen"]
    kept = {p.name for p in (mixed.store / "_weights").iterdir()}
    assert kept == {f"{trial_id}.safetensors" for trial_id in ok["trial_id"]}


def test_the_sweep_and_its_task_file_are_in_the_store(mixed: Ran):
    (record,) = Store.open(mixed.store).sweeps()
    assert record.text == (mixed.folder / "mixed.yaml").read_text()
    assert record.task_source == FAILING_TASK.read_text()
    assert record.trials == {t.trial_id: t.ref.name for t in mixed.sweep.trials}


def test_plain_pandas_reads_the_same_rows(mixed: Ran):
    pd.testing.assert_frame_equal(pd.read_parquet(mixed.store), mixed.rows)


def test_status_counts_what_there_is(mixed: Ran):
    tasks = status(Store.open(mixed.store)).tasks
    assert {t.task: (t.done, dict(t.failed), t.left) for t in tasks} == {
        "trouble": (2, {"bug": 2, "crash": 1, "nan": 1}, 0),
        "sphere": (1, {}, 0),
        "mnist": (2, {}, 0),
    }


# Running again


def test_running_again_does_nothing(unilaw_here, mixed: Ran):
    before = mixed.rows
    task_file = ("--task-file", "my_tasks.py")
    done = unilaw_here("run", "mixed.yaml", *task_file, "--store", mixed.store, cwd=mixed.folder)
    assert done.returncode == 1, "failed trials still stand"
    assert done.stdout.startswith("0 ok, 4 failed, 5 finished before")
    assert (
        "0 trials to run, 5 finished before, 4 failed before and not worth retrying (--retry-failed"
        " runs them again)" in done.stderr
    )
    pd.testing.assert_frame_equal(mixed.rows, before)


def test_retry_failed_and_a_time_limit(unilaw_here, mixed: Ran, tmp_path: Path):
    """Another sweep over the same store: one of its trials failed there before, the other
    overstays its limit."""
    (tmp_path / "late.yaml").write_text(LATE)
    shutil.copytree(mixed.store, tmp_path / "rows")
    options = ("--task-file", mixed.folder / "my_tasks.py", "--store", "rows")
    done = unilaw_here("run", "late.yaml", *options, "--retry-failed", "--inline", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith("0 ok, 2 failed (1 bug, 1 timeout), 0 finished before")

    again = rows_of(tmp_path / "rows")
    assert len(again) == len(mixed.rows) + 2
    assert [(r["attempt"], r["failure_kind"], r["sweep"]) for r in attempts_at(again, "raise")] == [
        (1, "bug", "mixed"),
        (2, "bug", "late"),
    ]
    (timeout,) = attempts_at(again, "wait")
    assert (timeout["failure_kind"], timeout["failure_message"]) == (
        "timeout",
        "took longer than the limit of 1 s",
    )
    assert 0.9 < timeout["wall_s"] < 20


# Inline


NOT_MEASURED = [
    "sweep",
    "wall_s",
    "train_s",
    "measure_s",
    "measure_share",
    "peak_bytes",
    "started_at",
    "finished_at",
    "ray_version",
    "commit",
    "dirty",
]


def test_inline_gives_the_rows_that_ray_gives_bit_for_bit(
    unilaw_here, environment, mixed: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, value in {**environment, **mixed.variables}.items():
        if name in VARIABLES:
            monkeypatch.setenv(name, value)
    options = ("--task-file", "my_tasks.py", "--store", tmp_path / "inline", "--inline")
    done = unilaw_here("run", "inline.yaml", *options, cwd=mixed.folder)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("4 ok, 3 failed (2 bug, 1 nan), 0 finished before")

    inline = rows_of(tmp_path / "inline").sort_values("trial_id", ignore_index=True)
    same_trials = mixed.rows["trial_id"].isin(inline["trial_id"])
    on_ray = mixed.rows[same_trials].sort_values("trial_id", ignore_index=True)
    assert len(inline) == len(on_ray) == 7
    pd.testing.assert_frame_equal(
        inline.drop(columns=NOT_MEASURED),
        on_ray.drop(columns=NOT_MEASURED),
        check_exact=True,
        check_dtype=False,
    )
    assert inline["stack_size"].dropna().tolist().count(2) == 1, (
        "a good trial trained with one whose loss becomes NaN"
    )
    assert on_ray["ray_version"].notna().all()
    for name in inline["weights_file"].dropna():
        weights = (tmp_path / "inline" / name).read_bytes()
        assert weights == (mixed.store / name).read_bytes()
