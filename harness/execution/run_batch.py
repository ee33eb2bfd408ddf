"""What a worker does with a batch: its stacks one after another, inside its limits.

The same function runs in the driver (`--inline`) and in Ray workers.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby

import torch

# torch imports this itself at an optimizer's first step. A time limit that interrupts the import
# would leave the module half loaded for good.
import torch._dynamo

from harness.execution.failures import failed
from harness.execution.language_trials import LanguageTrials
from harness.execution.limits import (
    TimeIsUp,
    bound_gpu_memory,
    flushed_denormals,
    peak_memory,
    reset_peak_memory,
    time_limit,
)
from harness.execution.sample_trials import SampleTrials
from harness.execution.trial_result import TrialResult
from harness.interruption import interruptions
from harness.store import provenance
from harness.store.schema import MEASURES_VERSION
from harness.store.valid_rows import refusals
from harness.sweeps.registry import load
from harness.sweeps.trial import Batch, RunSettings, Trial
from harness.task import Task

Stack = tuple[Trial, ...]
"""Trials of one task that train as one program."""


def run_batch(batch: Batch, settings: RunSettings) -> list[TrialResult]:
    """Return the result of each trial of the batch, in order.

    When time or memory runs out, the trials that have no result yet fail. Neighbouring stacks of
    labelled samples get their results together, stacks of language models one after another.
    Raises Interrupted when this process is told to end; a trial that trains alone keeps a
    checkpoint first.
    """
    torch.set_num_threads(settings.cpus)
    torch.backends.cudnn.allow_tf32 = False  # measures need float32 in full
    device = "cuda" if settings.gpus > 0 else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        return _without_gpu(batch, settings)
    if device == "cuda":
        bound_gpu_memory(settings.gpus)

    results: list[TrialResult] = []
    reset_peak_memory(device)
    started = datetime.now(UTC)
    clock = time.perf_counter()
    try:
        with interruptions(), time_limit(settings.seconds), flushed_denormals():
            for stacks in _measured_together(batch.stacks):
                started = datetime.now(UTC)
                clock = time.perf_counter()
                results += _run_stacks(stacks, settings, device)
        return results
    except TimeIsUp:
        stopped = failed("timeout", f"took longer than the limit of {settings.seconds:g} s")
    except (MemoryError, torch.OutOfMemoryError) as e:
        stopped = failed("oom", f"{type(e).__name__}: {e}")

    unfinished = len(batch.trials) - len(results)
    if not unfinished:  # the limit rang after the last stack
        return results

    wall_s = (time.perf_counter() - clock) / unfinished
    peak_bytes = peak_memory(device)
    return results + [
        finish(stopped, started, wall_s, peak_bytes, device, settings.gpus)
        for _ in range(unfinished)
    ]


def _without_gpu(batch: Batch, settings: RunSettings) -> list[TrialResult]:
    no_gpu = failed("bug", "resources.gpus asks for a GPU and torch sees none in this process")
    started = datetime.now(UTC)
    return [finish(no_gpu, started, 0.0, None, "cpu", settings.gpus) for _ in batch.trials]


def _measured_together(stacks: Sequence[Stack]) -> Iterator[tuple[Stack, ...]]:
    """Yield neighbouring stacks of labelled samples together, and those of language models one by
    one."""
    for of_samples, neighbours in groupby(stacks, key=_of_samples):
        if of_samples:
            yield tuple(neighbours)
        else:
            yield from ((stack,) for stack in neighbours)


def _of_samples(stack: Stack) -> bool:
    """Return whether the trials of a stack, which are all of one task, fit labelled samples."""
    return isinstance(load(stack[0].ref), Task)


def _run_stacks(stacks: tuple[Stack, ...], settings: RunSettings, device: str) -> list[TrialResult]:
    """Run stacks whose models are measured together."""
    started = datetime.now(UTC)
    clock = time.perf_counter()

    trials = tuple(trial for stack in stacks for trial in stack)
    runner = SampleTrials if _of_samples(stacks[0]) else LanguageTrials
    runs = runner(settings, torch.device(device))
    if settings.trained:
        results = runs.measure_again(trials, settings.trained)
    elif isinstance(runs, SampleTrials):
        results = runs.run(stacks)
    else:
        results = runs.run(trials)
    results = refuse_impossible(results)

    wall_s = _shares(results, time.perf_counter() - clock)
    peak_bytes = peak_memory(device)
    return [
        finish(result, started, seconds, peak_bytes, device, settings.gpus)
        for result, seconds in zip(results, wall_s, strict=True)
    ]


def refuse_impossible(results: list[TrialResult]) -> list[TrialResult]:
    """Return the results with a failure in place of each whose row no store can take."""
    refused = refusals([result.columns for result in results])
    return [
        failed("bug", f"the row cannot hold {why}") if why else result
        for result, why in zip(results, refused, strict=True)
    ]


def _shares(results: list[TrialResult], wall_s: float) -> list[float]:
    """Return each trial's share of the seconds of some stacks: its own training and measuring, and
    an equal part of the rest."""
    own = [
        result.columns.get("train_s", 0.0) + result.columns.get("measure_s", 0.0)
        for result in results
    ]
    common = max(0.0, wall_s - sum(own)) / len(own)
    return [seconds + common for seconds in own]


def finish(
    result: TrialResult,
    started: datetime,
    wall_s: float,
    peak_bytes: int | None,
    device: str,
    gpus: float,
) -> TrialResult:
    """Return a trial's result with the columns that are about the process it ran in."""
    about_process = {
        "wall_s": wall_s,
        "peak_bytes": peak_bytes,
        "gpus": gpus,
        "started_at": started,
        "measures_version": MEASURES_VERSION,
    }
    columns = {**result.columns, **about_process, **provenance.of_worker(device)}
    return result._replace(columns=columns)
