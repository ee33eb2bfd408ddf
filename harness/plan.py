"""What a sweep costs before anything runs: exact parameters, tokens, FLOPs, memory, and seconds at most.

Models are built on torch's meta device, so counting a billion parameters allocates none. Seconds come from a
short probe of this machine and assume that every trial runs to its cap on epochs: most stop earlier, so they
are upper figures, not forecasts.
"""

import os
import time
from typing import Any, NamedTuple

import torch

from harness.errors import UserError
from harness.measures import MEASURE_POINTS, boundary
from harness.measures.counts import count_parameters, count_saved_bytes, count_training_flops
from harness.registry import load
from harness.sweep import Sweep
from harness.task import Config, Task
from harness.training.loop import EVALUATION_BATCH
from harness.trial import Trial, canonical_json

PROCESS_BYTES = 600_000_000
"""A worker with torch loaded and nothing to do, as seen resident on Linux."""

ADAM_COPIES = 4
"""Weights, gradients and Adam's two moments."""


class Speed(NamedTuple):
    """This machine, probed: seconds that every optimiser step costs, and float32 FLOP/s beyond that."""

    step_s: float
    flop_per_s: float


class Cell(NamedTuple):
    """The cost of one configuration, per trial; `seeds` trials share it. "at most": at the cap on epochs."""

    task: str
    config: dict[str, Any]
    seeds: int
    p: int
    p_frozen: int
    n: int
    d_ambient: int
    tokens_distinct: int
    params_per_token: float
    tokens_seen_at_most: int
    steps_at_most: int
    flops_at_most: float
    measure_flops: float
    measure_passes: int
    memory_bytes: int

    def seconds_at_most(self, speed: Speed) -> float:
        """Training to the cap, then measuring."""
        fixed = (self.steps_at_most + self.measure_passes / 2) * speed.step_s
        return fixed + (self.flops_at_most + self.measure_flops) / speed.flop_per_s


class Plan(NamedTuple):
    """Cells in sweep order and their sums over all trials."""

    sweep: str
    cells: list[Cell]
    seconds_at_most: list[float]
    trials: int
    repeated: int
    slots: int
    speed: Speed
    flops_at_most: float
    trial_seconds_at_most: float
    wall_seconds_at_most: float


def plan(sweep: Sweep) -> Plan:
    """Cost every cell, with as many trials at a time as this machine has room for.

    Raises UserError when a cell cannot fit into the memory that one trial may use.
    """
    cells = cost_cells(sweep)
    refuse_what_cannot_fit(cells, sweep, here=True)
    speed = probe(sweep.resources.cpus)
    seconds = [c.seconds_at_most(speed) for c in cells]
    slots = slots_here(sweep)
    total = sum(s * c.seeds for s, c in zip(seconds, cells, strict=True))
    return Plan(
        sweep=sweep.name,
        cells=cells,
        seconds_at_most=seconds,
        trials=len(sweep.trials),
        repeated=sweep.repeated,
        slots=slots,
        speed=speed,
        flops_at_most=sum(c.flops_at_most * c.seeds for c in cells),
        trial_seconds_at_most=total,
        wall_seconds_at_most=max([total / slots, *seconds]),
    )


def cost_cells(sweep: Sweep, skip_broken: bool = False) -> list[Cell]:
    """The cost of every distinct configuration, in sweep order, without a clock.

    Raises UserError when a task's model() does; with `skip_broken` such cells are left out (they run into a row).
    """
    by_cell: dict[tuple[Any, ...], list[Trial]] = {}
    for trial in sweep.trials:
        by_cell.setdefault((trial.ref, canonical_json(trial.config)), []).append(trial)
    cells = []
    for trials in by_cell.values():
        try:
            cells.append(_cost(trials[0], len(trials)))
        except Exception as e:
            if not skip_broken:
                what = f"the model of task '{trials[0].ref.name}' raises {type(e).__name__} for {trials[0].config}: {e}"
                raise UserError(" ".join(what.split())[:1000]) from None
    return cells


def slots_here(sweep: Sweep) -> int:
    """How many trials this machine runs at a time."""
    return max(1, min((os.cpu_count() or 1) // sweep.resources.cpus, len(sweep.trials)))


def refuse_what_cannot_fit(cells: list[Cell], sweep: Sweep, here: bool) -> None:
    """Raise UserError when a cell needs more memory than one trial may use: `resources.memory_gb`, or its share of this
    machine's when the sweep runs `here`; a cluster's nodes are not known before they are asked."""
    resources, slots = sweep.resources, slots_here(sweep)
    if not resources.memory_gb and not here:
        return
    limit = resources.memory_gb * 1e9 if resources.memory_gb else _machine_bytes() / slots
    too_large = [c for c in cells if c.memory_bytes > limit]
    if too_large:
        worst = max(too_large, key=lambda c: c.memory_bytes)
        whose = "resources.memory_gb" if resources.memory_gb else f"this machine's memory for each of {slots} trials at a time"
        raise UserError(
            f"{len(too_large)} of {len(cells)} cells cannot fit: the largest, {worst.task} with p = {worst.p:,}, needs about "
            f"{worst.memory_bytes / 1e9:.1f} GB and {whose} is {limit / 1e9:.1f} GB ({worst.config})"
        )


def _machine_bytes() -> float:
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def _cost(trial: Trial, seeds: int) -> Cell:
    task, config = load(trial.ref), trial.load_config()
    with torch.device("meta"):
        model = task.model(config)
        shape, d = task.input_shape(config), task.d_ambient(config)
        rivals = model(torch.zeros(1, *shape)).shape[-1]
    counts = count_parameters(model)
    per_sample = count_training_flops(model, shape)
    tokens = config.n * config.max_epochs
    backward = 4 * rivals + 2 * boundary.SEARCH_STEPS
    forward = 3 * boundary.BISECTIONS
    return Cell(
        task=trial.ref.name,
        config=trial.config,
        seeds=seeds,
        p=counts.trainable,
        p_frozen=counts.frozen,
        n=config.n,
        d_ambient=d,
        tokens_distinct=config.n,
        params_per_token=counts.trainable / config.n,
        tokens_seen_at_most=tokens,
        steps_at_most=-(-config.n // min(config.batch_size, config.n)) * config.max_epochs,
        flops_at_most=float(per_sample * tokens),
        measure_flops=float(per_sample * MEASURE_POINTS * (backward + forward / 3)),
        measure_passes=backward + forward,
        memory_bytes=_memory(task, config, counts.trainable + counts.frozen, count_saved_bytes(model, shape), rivals),
    )


def _memory(task: Task, config: Config, parameters: int, saved_per_sample: int, rivals: int) -> int:
    """Bytes one trial needs: process, optimiser state, activations of the larger of training and measuring, data twice."""
    sample = 4 * task.d_ambient(config)
    training = saved_per_sample * min(config.batch_size, config.n)
    measuring = saved_per_sample * max(MEASURE_POINTS, min(EVALUATION_BATCH, config.n)) + 3 * MEASURE_POINTS * rivals * sample
    return PROCESS_BYTES + 4 * ADAM_COPIES * parameters + max(training, measuring) + 2 * config.n * sample


def probe(threads: int) -> Speed:
    """Time training steps of a tiny and of a large MLP on this machine's CPU; about a second."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        tiny, large = _step_seconds(width=8), _step_seconds(width=1024)
        flops = 64 * count_training_flops(_probe_net(1024), (784,))
        return Speed(step_s=tiny, flop_per_s=flops / max(large - tiny, 1e-9))
    finally:
        torch.set_num_threads(before)


def _probe_net(width: int) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(784, width), torch.nn.ReLU(), torch.nn.Linear(width, 1))


def _step_seconds(width: int, steps: int = 30) -> float:
    """Median seconds of one Adam step on a batch of 64 × 784."""
    model = _probe_net(width)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    x = torch.randn(64, 784)
    times = []
    for _ in range(steps):
        clock = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        model(x).square().mean().backward()
        optimizer.step()
        times.append(time.perf_counter() - clock)
    return sorted(times)[steps // 2]
