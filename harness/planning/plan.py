"""What a sweep costs before anything runs: exact parameters, tokens, FLOPs and memory of every
cell, batches and seconds.

Models are built on torch's meta device, so counting a billion parameters allocates none. FLOPs and
tokens are upper bounds, at the cap on epochs. Seconds are a forecast, from this machine's
calibration and the epochs that trials of this size have needed.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from harness.errors import UserError
from harness.planning.gpus import Gpus, share_alone
from harness.planning.machine_speed import calibrated_for
from harness.planning.memory import PROCESS_BYTES, alone_bytes
from harness.planning.resolved import resolve
from harness.planning.room import gpu_bytes, gpus_of, slots_here, worker_memory
from harness.planning.schedule import schedule
from harness.planning.times import FORECAST_OVERHEAD
from harness.sweeps.gpu_shares import named
from harness.sweeps.sweep import Resources, Sweep
from harness.sweeps.trial import Trial, canonical_json
from harness.sweeps.users_code import UsersCodeRaised, users_code
from harness.training.frontier_plan import epochs_at_most


class Cell(NamedTuple):
    """The cost of one configuration, for each of its `seeds` trials. Figures `…_at_most` take
    training to run to its cap on epochs."""

    task: str
    config: dict[str, Any]
    seeds: int
    p: int
    p_frozen: int
    n: int
    d_ambient: int
    tokens_distinct: int | None
    params_per_token: float | None
    p_over_nd: float | None
    tokens_seen_at_most: int
    steps_at_most: int
    flops_at_most: float
    memory_bytes: int
    """Of one process, and of one GPU where it trains on one."""
    gpus: float | None
    """The share of a GPU, or GPUs, that a trial of it alone is given; 0 on CPU; None when no
    allowed share holds it."""
    trial_ids: tuple[str, ...] = ()
    """In the order of their seeds in the sweep."""


class Plan(NamedTuple):
    """Cells in sweep order, the batches that their trials run in, and sums over all trials."""

    sweep: str
    cells: list[Cell]
    uncounted: list[str]
    """A sentence for each cell whose model cannot be counted."""
    trials: int
    repeated: int
    slots: int
    batches: int
    batches_by_gpus: dict[str, int]
    """How many batches run with "1/4 GPU", "2 GPUs", …; empty on CPU."""
    stacks: int
    stacked_trials: int
    largest_stack: int
    """Trials of the largest stack; 0 without stacks."""
    gpu_use: str | None
    """A sentence on how a GPU is filled, and what the other way would take; None on CPU."""
    flops_at_most: float
    trial_seconds: float
    longest_batch_seconds: float
    """As the forecast counts: beside as many others as run at a time."""
    wall_seconds: float
    description: str = ""
    """What the sweep file says about itself, such as what was left out of a full grid."""


def plan(sweep: Sweep, say: Callable[[str], None]) -> Plan:
    """Cost every cell, with as many batches at a time as this machine has room for; `say` is told
    of a calibration, and of cells that are not counted.

    Raises UserError when a cell cannot fit into the memory that one trial may use.
    """
    cells, uncounted = cost_cells(sweep)
    say_uncounted(uncounted, say)
    refuse_what_cannot_fit(cells, sweep, here=True)

    calibration = calibrated_for(sweep.resources, say)
    made = schedule(sweep, sweep.trials, calibration)
    planned = made.planned
    longest = max((p.seconds for p in planned), default=0.0)
    shared = [stack for p in planned for stack in p.batch.stacks if len(stack) > 1]
    return Plan(
        sweep=sweep.name,
        cells=cells,
        uncounted=uncounted,
        trials=len(sweep.trials),
        repeated=sweep.repeated,
        slots=made.slots,
        batches=len(planned),
        batches_by_gpus=dict(Counter(named(p.batch.gpus) for p in planned if p.batch.gpus)),
        stacks=len(shared),
        stacked_trials=sum(map(len, shared)),
        largest_stack=max(map(len, shared), default=0),
        gpu_use=made.gpu_use,
        flops_at_most=sum(c.flops_at_most * c.seeds for c in cells),
        trial_seconds=sum(p.seconds for p in planned),
        longest_batch_seconds=FORECAST_OVERHEAD * made.slowdown * longest,
        wall_seconds=made.wall_seconds,
        description=sweep.description,
    )


class Counted(NamedTuple):
    """The cells of a sweep, costed before anything runs."""

    cells: list[Cell]
    """In sweep order."""
    uncounted: list[str]
    """For each of the other cells a sentence on why its model cannot be counted."""


def cost_cells(sweep: Sweep) -> Counted:
    """Return the cost of every distinct configuration. Nothing is timed.

    A model that cannot be built on the meta device, without its data, is not counted. Its trials
    run all the same, each alone: one that fails becomes a row. Raises UserError when the task
    itself refuses a configuration in a sentence.
    """
    by_cell: dict[tuple[Any, ...], list[Trial]] = {}
    for trial in sweep.trials:
        by_cell.setdefault((trial.ref, canonical_json(trial.config)), []).append(trial)

    gpus = gpus_of(sweep.resources)
    counted = Counted([], [])
    for trials in by_cell.values():
        first = trials[0]
        try:
            with users_code(f"the model of task '{first.ref.name}'", f"for {first.config}"):
                cell = _cost(first, len(trials), gpus)
                counted.cells.append(cell._replace(trial_ids=tuple(t.trial_id for t in trials)))
        except UsersCodeRaised as e:
            counted.uncounted.append(str(e))
    return counted


def say_uncounted(uncounted: list[str], say: Callable[[str], None]) -> None:
    """Tell `say` how many cells are not counted, why the first is not, and what becomes of them."""
    if uncounted:
        say(
            f"{len(uncounted)} cells are not counted, because their models cannot be built on"
            " torch's meta device; their trials run alone, and one that fails becomes a row."
            f" The first: {uncounted[0]}"
        )


def _cost(trial: Trial, seeds: int, gpus: float | Gpus) -> Cell:
    resolved = resolve(trial)
    config = resolved.config
    task = resolved.task
    shape = resolved.shape

    d_ambient = task.d_ambient(config)
    tokens = task.tokens_distinct(config)
    samples = task.samples_distinct(config)
    return Cell(
        task=trial.ref.name,
        # with the fields that are None, so that cells can be compared field by field
        config=config.model_dump(mode="json"),
        seeds=seeds,
        p=shape.p,
        p_frozen=shape.p_frozen,
        n=config.n,
        d_ambient=d_ambient,
        tokens_distinct=tokens,
        params_per_token=shape.p / tokens if tokens else None,
        p_over_nd=shape.p / (samples * d_ambient) if samples else None,
        tokens_seen_at_most=(tokens or 0) * epochs_at_most(config),
        steps_at_most=config.steps_per_epoch * epochs_at_most(config),
        flops_at_most=float(shape.training_flops(config) * config.n * epochs_at_most(config)),
        memory_bytes=PROCESS_BYTES + round(alone_bytes(resolved)),
        gpus=share_alone(resolved, gpus) if isinstance(gpus, Gpus) else gpus,
    )


def refuse_what_cannot_fit(cells: list[Cell], sweep: Sweep, here: bool) -> None:
    """Raise UserError when a cell needs more memory than one trial may use.

    The limit is `resources.memory_gb`, or the trial's share of this machine's memory when the sweep
    runs `here`. The memory of a cluster's nodes and of their GPUs is not known before they are
    asked.
    """
    resources = sweep.resources
    _refuse_what_no_gpus_hold(cells, resources)
    if not resources.memory_gb and (not here or resources.gpus):
        return

    limit = worker_memory(sweep)
    too_large = [c for c in cells if c.memory_bytes > limit]
    if not too_large:
        return

    limited_by = "resources.memory_gb"
    if not resources.memory_gb:
        limited_by = f"this machine's memory for each of {slots_here(sweep)} trials at a time"
    raise UserError(
        f"{_largest_of(too_large, cells)} and {limited_by} is {limit / 1e9:.1f} GB"
        f" ({_largest(too_large).config})"
    )


def _refuse_what_no_gpus_hold(cells: list[Cell], resources: Resources) -> None:
    too_large = [c for c in cells if c.gpus is None]
    if not too_large:
        return

    limited_by = "resources.gpu_memory_gb" if resources.gpu_memory_gb else "this machine's GPU"
    raise UserError(
        f"{_largest_of(too_large, cells)} on one GPU, {limited_by} is"
        f" {(gpu_bytes(resources) or 0) / 1e9:.1f} GB, and only a language model can be"
        f" divided, over at most resources.max_gpus = {resources.max_gpus} GPUs"
        f" ({_largest(too_large).config})"
    )


def _largest(cells: list[Cell]) -> Cell:
    return max(cells, key=lambda c: c.memory_bytes)


def _largest_of(too_large: list[Cell], cells: list[Cell]) -> str:
    """Return the beginning of a refusal: how many cells do not fit, and what the largest needs."""
    largest = _largest(too_large)
    return (
        f"{len(too_large)} of {len(cells)} cells cannot fit: the largest, {largest.task} with p ="
        f" {largest.p:,}, needs about {largest.memory_bytes / 1e9:.1f} GB"
    )
