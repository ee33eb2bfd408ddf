"""What must hold on a machine with a CUDA GPU: the CPU's figures, recorded steps that are the plain
ones, shared GPUs, and a failure that says when the memory is full.

Run alone: python -m pytest tests/gpu/test_on_gpu.py
"""

import copy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import safetensors.torch
import torch
from torch import nn

from harness.execution import limits
from harness.execution.run_batch import run_batch
from harness.execution.trial_result import TrialResult
from harness.measures import on_device
from harness.planning.machine_speed import calibrated_for
from harness.remeasure import MEASURED
from harness.run import run
from harness.store.store import Store
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch, RunSettings, Trial
from harness.task import Config, Seeds
from harness.terminal.progress import Progress
from harness.training.adversary import adversary_of
from harness.training.recorded import recorder_for
from harness.training.running_stack import Checkpoint, RunningStack
from harness.training.stack import Alone, stack
from harness.training.stack_step import StackGroup
from tests import FAILING_TASK
from tests.measures.agreement import alike
from tests.training.recording import recorded_by
from tests.training.test_recorded import NETS
from tests.training.toy_models import D, data, seeded

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
]

POINTS = 16

SPHERE = "{task: sphere, fixed: {n: 64, d: 6, max_epochs: 5}, grid: {width: [4, 8]}}"
MNIST = "{task: mnist, fixed: {n: 40, label_flip: 0.2, width: 4, max_epochs: 3}}"
CNN = "{task: mnist, fixed: {n: 40, label_flip: 0.2, model: cnn, max_epochs: 2}}"
STACKS = {"two mlps": SPHERE, "one mlp": MNIST, "a cnn": CNN}


def trials_of(entry: str) -> tuple[Trial, ...]:
    text = f"name: a\nseeds: [0]\ntasks:\n  - {entry}\n"
    return tuple(parse_sweep(text, "sweep.yaml").trials)


def go(trials: tuple[Trial, ...], gpus: float, trained: str | None = None) -> list[TrialResult]:
    """Train the trials as one stack, or measure their kept weights."""
    settings = RunSettings(1, gpus, 300.0, 10**8, POINTS, checkpoints=None)
    results = run_batch(Batch((trials,)), settings._replace(trained=trained))
    assert [result.failure_kind for result in results] == [None] * len(trials), results
    return results


@pytest.mark.parametrize("entry", STACKS.values(), ids=STACKS.keys())
def test_a_stack_trains_on_the_gpu_as_on_the_cpu(entry: str):
    trials = trials_of(entry)
    on_gpu = go(trials, gpus=1)
    on_cpu = go(trials, gpus=0)
    for gpu, cpu in zip(on_gpu, on_cpu, strict=True):
        assert gpu.columns["gpu"] and not cpu.columns["gpu"]
        for name in ("data_hash", "p", "epochs", "stop_reason", "stack_size"):
            assert gpu.columns[name] == cpu.columns[name], name
        for name in ("train_loss", "test_loss"):
            assert gpu.columns[name] == pytest.approx(cpu.columns[name], rel=1e-4), name

        weights = safetensors.torch.load(gpu.weights or b"")
        for name, tensor in safetensors.torch.load(cpu.weights or b"").items():
            torch.testing.assert_close(weights[name], tensor, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("entry", STACKS.values(), ids=STACKS.keys())
def test_the_same_weights_measure_on_the_gpu_as_on_the_cpu(entry: str, tmp_path: Path):
    trials = trials_of(entry)
    for trial, result in zip(trials, go(trials, gpus=0), strict=True):
        (tmp_path / f"{trial.trial_id}.safetensors").write_bytes(result.weights or b"")

    kept = str(tmp_path / "{}.safetensors")
    on_gpu = go(trials, gpus=1, trained=kept)
    on_cpu = go(trials, gpus=0, trained=kept)
    for gpu, cpu in zip(on_gpu, on_cpu, strict=True):
        measured = (set(MEASURED) & cpu.columns.keys()) - {"measure_s", "measure_share"}
        assert "stability_attack_mean" in measured
        for name in measured:
            assert alike(name, gpu.columns[name], cpu.columns[name], POINTS), name


@pytest.mark.ray
def test_two_trials_share_a_gpu(unilaw, tmp_path: Path):
    """Each has so many epochs that it is a batch of its own, and sleeps, so that they meet."""
    (tmp_path / "two.yaml").write_text(
        "name: two\nseeds: [0]\nresources: {gpus: 0.25}\ntasks:\n"
        "  - {task: trouble, fixed: {nap: 20, max_epochs: 2000}, grid: {n: [16, 17]}}\n"
    )
    done = unilaw("run", "two.yaml", "--task-file", FAILING_TASK, "--store", "rows", cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    rows = pd.read_parquet(tmp_path / "rows")
    assert rows["status"].eq("ok").all() and rows["gpu"].notna().all()
    assert len(rows) == 2 and 0 < rows["gpus"].sum() <= 1
    assert rows["started_at"].max() < rows["finished_at"].min(), "at work at one time"


def test_a_full_gpu_is_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "allocator_fraction", lambda gpus, gpu_bytes: 2**20 / gpu_bytes)
    trials = trials_of("{task: sphere, fixed: {n: 64, d: 6, depth: 2, width: 4000, max_epochs: 1}}")
    settings = RunSettings(1, 1, 300.0, 0, 0, checkpoints=None)
    try:
        (result,) = run_batch(Batch((trials,)), settings)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert result.failure_kind == "oom", result.columns
    assert "OutOfMemoryError" in result.columns["failure_message"]


def test_a_frontier_is_searched_on_the_gpu_as_on_the_cpu():
    entry = (
        "{task: sphere, fixed: {n: 64, d: 8, frontier: adversary, batch_size: 64, max_epochs: 200,"
        " lr: 0.01, width: 16}}"
    )
    (on_gpu,) = go(trials_of(entry), gpus=1)
    (on_cpu,) = go(trials_of(entry), gpus=0)
    assert on_gpu.columns["gpu"] and on_gpu.columns["robust_below_noise"]
    radius = on_cpu.columns["frontier_radius"]
    assert on_gpu.columns["frontier_radius"] == pytest.approx(radius, rel=0.1)


RECIPES: dict[str, dict[str, Any]] = {
    "adam": {"warmup_steps": 7},
    "adamw": {"optimiser": "adamw", "weight_decay": 0.5},
    "sgd": {"optimiser": "sgd", "weight_decay": 0.1},
    "pgd": {"adversary": "pgd", "adversary_radius": 0.1, "adversary_steps": 3},
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("net", ["chain", "other"])
@pytest.mark.parametrize("widths", [(8,), (8, 5, 3)], ids=["alone", "stacked"])
def test_twenty_recorded_steps_are_the_plain_ones(recipe: str, net: str, widths: tuple[int, ...]):
    """Five epochs of four steps; two groups of other rates, where there is a stack."""
    groups = 1 if len(widths) == 1 else 2
    config = Config.model_validate(
        {"n": 64, "batch_size": 16, "stop": "epochs", "max_epochs": 5, **RECIPES[recipe]}
    )
    stacks = []
    for recorder in (None, recorder_for(torch.device("cuda"))):
        modules = [seeded(lambda w=w: NETS[net](w, 3), i) for i, w in enumerate(widths * groups)]
        shared = [
            StackGroup.of(
                config.model_copy(update={"lr": 0.01 / (g + 1)}),
                on_device(data(g, 3, n=64), torch.device("cuda")),
                Seeds(g),
            )
            for g in range(groups)
        ]
        probe = shared[0].data.x_train[:4]
        with recorded_by(recorder):
            program = stack([module.cuda() for module in modules], probe)
            running = RunningStack(program, shared, len(modules))
            for _ in range(5):
                running.epoch(16, adversary_of(config))
        stacks.append(running)

    plain, recorded = stacks
    (step,) = recorded.recorded
    assert step.replay, step.why_plain
    for name, p in plain.program.parameters.items():
        torch.testing.assert_close(recorded.program.parameters[name], p, rtol=0, atol=1e-5)


def test_a_dropout_on_the_gpu_draws_anew_what_a_checkpoint_has_kept():
    device = torch.device("cuda")
    config = Config.model_validate({"n": 64, "batch_size": 16, "stop": "epochs", "max_epochs": 9})
    group = StackGroup.of(config, on_device(data(0, 3, n=64), device), Seeds(0))
    net = nn.Sequential(nn.Linear(D, 8), nn.Dropout(0.5), nn.Linear(8, 3)).cuda()
    running = RunningStack(Alone(net), [group], 1)
    for _ in range(3):
        running.epoch(16)
    kept = copy.deepcopy(running.checkpoint(3)._asdict())
    figures = running.epoch(16)
    running.restore(Checkpoint(**kept), steps_per_epoch=4)
    assert running.epoch(16) == figures


class Asking(nn.Linear):
    """A layer that reads a number from the GPU."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input) * (1.0 if float(input.detach().sum()) > 0 else 1.0)


def test_a_step_that_waits_for_the_gpu_is_not_recorded():
    device = torch.device("cuda")
    config = Config.model_validate({"n": 64, "batch_size": 16, "stop": "epochs", "max_epochs": 1})
    group = StackGroup.of(config, on_device(data(0, 3, n=64), device), Seeds(0))
    running = RunningStack(Alone(Asking(D, 3).cuda()), [group], 1)
    running.epoch(16)
    (step,) = running.recorded
    assert step.why_plain == "the step reads a number from the GPU"


FORECAST = """\
name: forecast
seeds: {range: [0, 8]}
resources: {gpus: auto}
limits: {measure_points: 32, weights_mb: 0}
tasks:
  - task: sphere
    fixed: {n: 512, d: 16, stop: epochs, max_epochs: 400}
    grid: {width: [8, 16, 32, 64, 128]}
  - task: text
    fixed: {n: 200, context: 8, d_in: 8, target_resample: 0.3, stop: epochs, max_epochs: 100}
    grid: {width: [8, 16]}
"""


def test_the_forecast_and_what_is_taken_are_within_a_factor_of_one_and_a_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Forty MLPs and sixteen GPTs, in this process. The GPU is timed first, which loads what a
    process loads once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked = parse_sweep(FORECAST, "sweep.yaml")
    store = Store.create(tmp_path / "rows")
    calibrated_for(asked.resources, print)
    outcome = run(asked, store, None, inline=True, retry_failed=False, progress=Progress())
    assert outcome.ok == len(asked.trials) == 56

    (record,) = store.runs()
    assert record.forecast_s is not None
    assert record.seconds / 1.5 <= record.forecast_s <= 1.5 * record.seconds
    rows = pd.read_parquet(tmp_path / "rows")
    assert rows["stack_size"].min() >= 8, "GPTs too"
