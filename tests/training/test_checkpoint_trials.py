"""Checkpoints of whole trials: which trials keep one, what their rows say about it, and when it is
deleted.

Run alone: python -m pytest tests/training/test_checkpoint_trials.py
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness import run as run_module
from harness.execution.run_batch import run_batch
from harness.planning.machine_speed import Calibration, Cost
from harness.store.schema import Columns
from harness.store.store import Store
from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import Sweep, parse_sweep
from harness.sweeps.trial import Batch, RunSettings, Trial
from harness.terminal.progress import Progress
from tests import FAILING_TASK

pytestmark = pytest.mark.usefixtures("checkpoints_always_due")


def sphere(seed: int = 0, **fixed: Any) -> Trial:
    fixed = {"n": 32, "d": 4, "width": 8, "stop": "epochs", "max_epochs": 5, **fixed}
    return sweep(f"seeds: [{seed}]\ntasks:\n  - task: sphere\n    fixed: {fixed}\n").trials[0]


def sweep(text: str) -> Sweep:
    return parse_sweep(f"name: a\n{text}", "sweep.yaml", refs_in(FAILING_TASK))


def ran(trials: Sequence[Trial], checkpoints: str | None) -> list[Columns]:
    settings = RunSettings(
        cpus=1, gpus=0, seconds=60, weights_bytes=10**6, measure_points=0, checkpoints=checkpoints
    )
    results = run_batch(Batch((tuple(trials),)), settings)
    return [result.columns | {"weights": result.weights} for result in results]


TIMES = {"wall_s", "train_s", "measure_s", "measure_share", "peak_bytes", "started_at"}


def without_times(columns: Columns) -> Columns:
    return {name: value for name, value in columns.items() if name not in TIMES}


@pytest.mark.slow
def test_a_trial_resumes_from_its_checkpoint_and_says_so(tmp_path: Path):
    pattern = str(tmp_path / "{}.safetensors")
    (without,) = ran([sphere()], None)
    (first,) = ran([sphere()], pattern)
    (second,) = ran([sphere()], pattern)
    assert [row["status"] for row in (without, first, second)] == ["ok"] * 3
    assert [row["resumed_epoch"] for row in (without, first, second)] == [None, None, 4]

    assert without_times(first) == without_times(without)
    assert without_times(second) | {"resumed_epoch": None} == without_times(without)
    assert second["weights"] == without["weights"]
    assert second["epochs"] == 5


@pytest.mark.slow
def test_a_trial_whose_checkpoint_is_damaged_starts_over(tmp_path: Path):
    pattern = str(tmp_path / "{}.safetensors")
    (first,) = ran([sphere()], pattern)
    (tmp_path / f"{sphere().trial_id}.safetensors").write_bytes(b"torn")
    (second,) = ran([sphere()], pattern)
    assert second["resumed_epoch"] is None
    assert without_times(second) == without_times(first)


@pytest.mark.slow
def test_trials_of_a_stack_keep_no_checkpoint(tmp_path: Path):
    columns = ran([sphere(), sphere(width=4)], str(tmp_path / "{}.safetensors"))
    assert [c["stack_size"] for c in columns] == [2, 2]
    assert [c["resumed_epoch"] for c in columns] == [None, None]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_trial_that_falls_out_of_its_stack_keeps_a_checkpoint(tmp_path: Path):
    trials = [trouble(seed, how="tied") for seed in (0, 1)]
    columns = ran(trials, str(tmp_path / "{}.safetensors"))
    if all(c["stack_size"] == 1 for c in columns):  # tied layers may be stacked one day
        assert {p.stem for p in tmp_path.iterdir()} == {t.trial_id for t in trials}


def trouble(seed: int = 0, **fixed: Any) -> Trial:
    return sweep(f"seeds: [{seed}]\ntasks:\n  - task: trouble\n    fixed: {fixed}\n").trials[0]


@pytest.mark.slow
def test_a_folder_that_this_machine_does_not_see_keeps_no_checkpoint(tmp_path: Path):
    (columns,) = ran([sphere()], str(tmp_path / "elsewhere" / "{}.safetensors"))
    assert columns["status"] == "ok" and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_stores_folder_may_have_any_name(tmp_path: Path):
    store = Store.create(tmp_path / "a {b} {} 100%")
    (columns,) = ran([sphere()], store.checkpoints())
    assert columns["status"] == "ok"
    assert [p.stem for p in (Path(str(store)) / "_checkpoints").iterdir()] == [sphere().trial_id]
    store.drop_checkpoints([sphere().trial_id, "never there"])
    assert not list((Path(str(store)) / "_checkpoints").iterdir())


def test_dropping_leaves_the_others(tmp_path: Path):
    store = Store.create(tmp_path / "store")
    for name in "ab":
        Path(store.checkpoints().format(name)).touch()
        Path(store.checkpoints().format(f"_tmp-{name}")).with_suffix(".safetensors-123").touch()
    store.drop_checkpoints(["a"])
    assert sorted(p.name for p in (Path(str(store)) / "_checkpoints").iterdir()) == [
        "_tmp-b.safetensors-123",
        "b.safetensors",
    ]


BY_HAND = Calibration(*[Cost(1e-4, 1e-12, 1e-9, 1e-5)] * 9, slowdown=1.0)


def run(sweep: Sweep, store: Store, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Run a sweep in this process, and return the trial ids that have a checkpoint afterwards."""
    monkeypatch.setattr(run_module, "calibrated_for", lambda resources, say: BY_HAND)
    run_module.run(
        sweep, store, None, inline=True, retry_failed=False, progress=Progress(Console(quiet=True))
    )
    return {p.stem for p in (Path(str(store)) / "_checkpoints").iterdir()}


@pytest.mark.slow
def test_a_checkpoint_is_deleted_once_its_trial_has_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = Store.create(tmp_path / "store")
    asked = sweep("seeds: [0]\ntasks:\n  - {task: trouble, grid: {how: [none, raise, nan]}}\n")
    for trial in asked.trials:
        Path(store.checkpoints().format(trial.trial_id)).touch()
    Path(store.checkpoints().format("f" * 16)).touch()
    assert run(asked, store, monkeypatch) == {"f" * 16}
    assert sorted(store.read().rows["failure_kind"].dropna()) == ["bug", "nan"]


@pytest.mark.slow
def test_a_trial_that_ran_out_of_time_keeps_its_checkpoint_for_the_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = Store.create(tmp_path / "store")
    asked = sweep(
        "seeds: [0]\nlimits: {seconds_per_trial: 0.2}\ntasks:\n  - {task: trouble, fixed: {how:"
        " wait}}\n"
    )
    (trial,) = asked.trials
    Path(store.checkpoints().format(trial.trial_id)).touch()
    assert run(asked, store, monkeypatch) == {trial.trial_id}
    assert list(store.read().rows["failure_kind"]) == ["timeout"]
