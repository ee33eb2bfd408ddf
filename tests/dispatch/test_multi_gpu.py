"""A trial over two processes of Ray Train: its columns, its accidents, how it goes on after a kill,
and how it is called off.

Run alone: python -m pytest tests/dispatch/test_multi_gpu.py
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from harness import HOME
from harness.dispatch.multi_gpu import reclaim, submit
from harness.execution.run_batch import run_batch
from harness.store.schema import arrow_schema
from harness.store.store import Store
from harness.sweeps.registry import refs_in
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch, RunSettings, Trial
from tests import FAILING_LANGUAGE_TASK
from tests.tasks.random_texts import write_texts

PLENTY_S = 300.0

# each start takes Python, torch, transformers and Ray Train three times over
pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def two_cpus() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=2**28,
        )
        yield
        ray.shutdown()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_texts(tmp_path_factory.mktemp("texts"), documents=40, words=200)


def trial(source: str, how: str, folder: Path) -> Trial:
    fixed = {
        "how": how,
        "folder": str(folder),
        "source": source,
        "n": 64,
        "context": 16,
        "depth": 2,
        "batch_size": 8,
    }
    text = f"name: a\nseeds: [0]\ntasks:\n  - task: language-trouble\n    fixed: {fixed}\n"
    return parse_sweep(text, "sweep.yaml", refs_in(FAILING_LANGUAGE_TASK)).trials[0]


def start(trial: Trial, settings: RunSettings) -> ray.ObjectRef:
    plain = {
        "trial_id": trial.trial_id,
        "ref": tuple(trial.ref),
        "config": trial.config,
        "seed": trial.seed,
    }
    return submit(str(HOME), [[plain]], tuple(settings), processes=2)


def columns_of(trial: Trial, settings: RunSettings) -> dict[str, Any]:
    ((columns, weights, _),) = ray.get(start(trial, settings), timeout=500)
    assert set(columns) <= set(arrow_schema().names)
    return columns | {"weights": weights}


def settings(
    seconds: float = PLENTY_S, checkpoints: str | None = None, points: int = 0
) -> RunSettings:
    return RunSettings(
        cpus=1,
        gpus=0,
        seconds=seconds,
        weights_bytes=10**7,
        measure_points=points,
        checkpoints=checkpoints,
    )


def processes(folder: Path) -> list[int]:
    """Return the processes that have worked on a trial: each leaves a file with its id."""
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()]


def alive(pid: int) -> bool:
    """Return whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def all_ended_within(seconds: float, folder: Path) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(alive, processes(folder))) and time.monotonic() < deadline:
        time.sleep(0.2)
    return not any(map(alive, processes(folder)))


EQUAL = [
    "trial_id",
    "p",
    "p_frozen",
    "n",
    "steps",
    "tokens_seen",
    "data_hash",
    "flops",
    "params_by_group",
    "measure_points",
]
LOSSES = ["train_loss", "test_loss", "test_loss_se", "bits_per_byte", "nll", "ece"]
MEASURES = ["stability_attack_mean", "lip_lower_pairs", "lip_mean_grad", "d_participation"]


def assert_found_what_one_process_finds(two: dict[str, Any], of_both: Trial) -> None:
    """Train the trial in this process alone and compare."""
    (alone,) = run_batch(Batch(((of_both,),)), settings(points=3))
    one = alone.columns
    assert one["status"] == "ok"

    losses = [point["loss"] for point in one["loss_curve"]]
    assert [point["loss"] for point in two["loss_curve"]] == pytest.approx(losses, rel=1e-5)
    for name in EQUAL:
        assert two.get(name) == one.get(name), name
    for name in LOSSES:
        assert two[name] == pytest.approx(one[name], rel=1e-4), name
    for name in MEASURES:
        assert two[name] == pytest.approx(one[name], rel=1e-2), name

    note = "one model over 2 processes; instruments on the whole of it, on one cpu"
    assert two["stack_note"] == note and not one["stack_note"]
    assert len(two["weights"]) == len(alone.weights or b"")


@pytest.mark.soak
def test_two_processes_find_what_one_finds(two_cpus: None, source: str, tmp_path: Path):
    fine = trial(source, "none", tmp_path)
    two = columns_of(fine, settings(points=3))
    assert two["status"] == "ok", two["failure_message"]
    assert two["resumed_step"] is None
    assert_found_what_one_process_finds(two, fine)


@pytest.mark.soak
def test_killed_it_is_a_crash_and_then_goes_on_to_what_one_process_finds(
    two_cpus: None, source: str, tmp_path: Path
):
    checkpoints = Store.create(tmp_path / "rows").checkpoints()
    killed = trial(source, "kill-once", tmp_path)
    first = columns_of(killed, settings(checkpoints=checkpoints))
    assert (first["status"], first["failure_kind"]) == ("failed", "crash")
    assert "process of the trial ended" in first["failure_message"]
    assert first["wall_s"] < PLENTY_S and all_ended_within(60, tmp_path)

    two = columns_of(killed, settings(checkpoints=checkpoints, points=3))
    assert two["status"] == "ok", two["failure_message"]
    assert two["resumed_step"] in (4, 5)
    assert len(processes(tmp_path)) == 4
    assert_found_what_one_process_finds(two, killed)


@pytest.mark.soak
def test_out_of_memory_in_one_process_ends_both_and_stays_oom(
    two_cpus: None, source: str, tmp_path: Path
):
    columns = columns_of(trial(source, "oom", tmp_path), settings())
    assert (columns["status"], columns["failure_kind"]) == ("failed", "oom")
    assert "says the test" in columns["failure_message"]
    assert columns["wall_s"] < PLENTY_S and all_ended_within(60, tmp_path)


@pytest.mark.soak
def test_a_process_that_hangs_meets_the_time_limit(two_cpus: None, source: str, tmp_path: Path):
    columns = columns_of(trial(source, "hang", tmp_path), settings(seconds=15))
    message = columns["failure_message"]
    assert (columns["status"], columns["failure_kind"]) == ("failed", "timeout"), message
    assert "limit of 15 s" in message
    assert 15 <= columns["wall_s"] < 60 and all_ended_within(60, tmp_path)


@pytest.mark.soak
def test_called_off_it_leaves_no_process_and_no_cpu_taken(
    two_cpus: None, source: str, tmp_path: Path
):
    ref = start(trial(source, "hang", tmp_path), settings())
    deadline = time.monotonic() + 200
    while len(processes(tmp_path)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert all(map(alive, processes(tmp_path))) and os.getpid() not in processes(tmp_path)
    ray.cancel(ref, force=True)
    assert all_ended_within(60, tmp_path)
    reclaim()
    while ray.available_resources().get("CPU", 0) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
