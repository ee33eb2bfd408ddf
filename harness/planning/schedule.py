"""How a sweep runs on this machine: in which batches, how many at a time, and for how long.

A GPU can be filled by one process with large stacks, or shared by several with smaller ones. Both
are planned with the calibration, and the quicker way is taken.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from harness.planning.batches import FamilyStacks
from harness.planning.cores import cores_here
from harness.planning.costs import Calibration
from harness.planning.devices import gpus_here
from harness.planning.gpus import Gpus
from harness.planning.room import gpu_bytes, gpus_of, gpus_to_plan_with, slots_here, stack_memory
from harness.planning.times import FORECAST_OVERHEAD, Planned, wall_seconds
from harness.sweeps.gpu_shares import SMALLEST, named
from harness.sweeps.sweep import Sweep
from harness.sweeps.trial import Trial

WORTH_SHARING = 0.9
"""A GPU is shared by more processes where that takes at most this part of the seconds: each of them
takes seconds to start, and memory."""


class Schedule(NamedTuple):
    """The batches of a run."""

    planned: list[Planned]
    slots: int
    """Batches at a time."""
    slowdown: float
    """How much longer each batch takes with so many at work."""
    wall_seconds: float
    gpu_use: str | None
    """A sentence on how a GPU is filled; None on CPU."""


def schedule(
    sweep: Sweep, trials: Sequence[Trial], calibration: Calibration, inline: bool = False
) -> Schedule:
    """Return the batches in which `unilaw run` runs these trials of the sweep. inline: in this
    process, one after another."""
    resources = sweep.resources
    gpus = gpus_of(resources)
    one_gpu = gpu_bytes(resources) if gpus else None
    if gpus and one_gpu is None:
        one_gpu = math.inf
    stacks = FamilyStacks.of(
        trials, calibration, sweep.limits.measure_points.counts.as_dear_as, one_gpu
    )

    if not isinstance(gpus, Gpus):
        slots = 1 if inline else slots_here(sweep)
        made = _with_share(sweep, stacks, calibration, gpus, gpus, slots)
        return made._replace(gpu_use=_as_the_sweep_says(gpus, slots) if gpus else None)

    ways = {}
    processes = 1
    while processes == 1 or (processes <= _most_processes(sweep) and not inline):
        slots = 1 if inline else slots_here(sweep, 1 / processes)
        of_each = gpus._replace(least=1 / processes)
        ways[processes] = _with_share(sweep, stacks, calibration, of_each, 1 / processes, slots)
        processes *= 2

    best = 1
    for processes, way in ways.items():
        if way.wall_seconds <= WORTH_SHARING * ways[best].wall_seconds:
            best = processes
    return ways[best]._replace(gpu_use=_sentence(ways, best))


def batches(sweep: Sweep, trials: Sequence[Trial], calibration: Calibration) -> list[Planned]:
    """Return the batches in which `unilaw run` runs these trials of the sweep."""
    return schedule(sweep, trials, calibration).planned


def _with_share(
    sweep: Sweep,
    stacks: FamilyStacks,
    calibration: Calibration,
    gpus: float | Gpus,
    share: float,
    slots: int,
) -> Schedule:
    """Return the schedule that gives each batch at least this share of a GPU."""
    planned = stacks.batches(
        sweep.limits.seconds_per_trial, stack_memory(sweep, share), gpus, processes=slots
    )
    room = float(gpus_to_plan_with()) if share else math.inf
    # processes on different GPUs do not slow one another down as those on one do
    sharing = math.ceil(slots / room) if share else slots
    slowdown = calibration.slowdown_of(min(sharing, len(planned)))
    wall = FORECAST_OVERHEAD * wall_seconds(planned, slots, slowdown, room)
    return Schedule(planned, slots, slowdown, wall, None)


def _most_processes(sweep: Sweep) -> int:
    """Return how many processes of this sweep could share one GPU."""
    most = min(round(1 / SMALLEST), len(sweep.trials))
    if not gpus_here():  # the GPU is a cluster's
        return most
    return min(most, max(1, cores_here() // sweep.resources.cpus // gpus_here()))


def _as_the_sweep_says(share: float, slots: int) -> str:
    at_a_time = "1 batch" if slots == 1 else f"{slots} batches"
    return (
        f"Each batch has {named(share)}, as resources.gpus says: {at_a_time} at a time on"
        f" {named(gpus_to_plan_with())}."
    )


def _sentence(ways: dict[int, Schedule], best: int) -> str:
    """Return how a GPU is used and, where there was a choice, what the other way would take: one
    process, or the best number of several."""
    seconds = {processes: f"{way.wall_seconds:.0f} s" for processes, way in ways.items()}
    several = [processes for processes in ways if processes > 1]
    if best > 1:
        return (
            f"{best} processes share a GPU, about {seconds[best]}; one that fills it with larger"
            f" stacks would take {seconds[1]}."
        )
    if not several:
        return f"One process fills a GPU with large stacks, about {seconds[1]}."

    next_best = min(several, key=lambda processes: ways[processes].wall_seconds)
    return (
        f"One process fills a GPU with large stacks, about {seconds[1]}; {next_best} that share it"
        f" would take {seconds[next_best]}."
    )
