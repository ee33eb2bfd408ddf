"""What a worker does with a batch: its stacks one after another, inside its limits, every result a
row's columns.

The same function runs in the driver (`--inline`) and in Ray workers. It returns plain values, never
objects of this package, so a result can be read by a driver that found the package elsewhere.
"""

import time
from datetime import UTC, datetime

import torch

# by torch itself at an optimizer's first step: interrupted there by a time limit, it would stay
# half loaded for good
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
from harness.store import provenance
from harness.store.schema import MEASURES_VERSION, Columns
from harness.sweeps.registry import load
from harness.sweeps.trial import Batch, RunSettings
from harness.task import Task


def run_batch(batch: Batch, given: RunSettings) -> list[Columns]:
    """The columns of each trial of the batch, in order, plus `_weights` (safetensors bytes or
    None) and, where there are images, `_pictures` (a PNG)."""
    torch.set_num_threads(given.cpus)
    torch.backends.cudnn.allow_tf32 = False  # measures need float32 in full
    device = "cuda" if given.gpus > 0 else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        no_gpu = failed("bug", "resources.gpus asks for a GPU and torch sees none in this process")
        return [
            finish(no_gpu, datetime.now(UTC), 0.0, None, "cpu", given.gpus) for _ in batch.trials
        ]
    if device == "cuda":
        bound_gpu_memory(given.gpus)
    columns: list[Columns] = []
    reset_peak_memory(device)
    started, clock = datetime.now(UTC), time.perf_counter()
    try:
        with time_limit(given.seconds), flushed_denormals():
            for trials in batch.stacks:
                started, clock = datetime.now(UTC), time.perf_counter()
                way = SampleTrials if isinstance(load(trials[0].ref), Task) else LanguageTrials
                worker = way(given, torch.device(device))
                found = (
                    worker.measure_again(trials, given.trained)
                    if given.trained
                    else worker.run(trials)
                )
                wall = time.perf_counter() - clock
                shares = _shares(
                    [c.get("train_s", 0.0) + c.get("measure_s", 0.0) for c in found], wall
                )
                columns += [
                    finish(c, started, s, peak_memory(device), device, given.gpus)
                    for c, s in zip(found, shares, strict=True)
                ]
    except TimeIsUp:
        stopped = failed("timeout", f"took longer than the limit of {given.seconds:g} s")
    except (MemoryError, torch.OutOfMemoryError) as e:
        stopped = failed("oom", f"{type(e).__name__}: {e}")
    else:
        return columns
    left = len(batch.trials) - len(columns)
    wall = (time.perf_counter() - clock) / left
    return columns + [
        finish(stopped, started, wall, peak_memory(device), device, given.gpus) for _ in range(left)
    ]


def _shares(own: list[float], wall: float) -> list[float]:
    """What a stack did for no trial in particular, shared equally, on top of each one's own."""
    common = max(0.0, wall - sum(own)) / len(own)
    return [seconds + common for seconds in own]


def finish(
    columns: Columns, started: datetime, wall: float, peak: int | None, device: str, gpus: float
) -> Columns:
    """A trial's columns with what is known of its process; `wall` in seconds, `peak` in bytes."""
    about = {
        "wall_s": wall,
        "peak_bytes": peak,
        "gpus": gpus,
        "started_at": started,
        "measures_version": MEASURES_VERSION,
    }
    return {"_weights": None, "_pictures": None, **columns, **about, **provenance.of_worker(device)}
