"""Which trials one worker runs together: stacks where stacking pays, batches of a few seconds,
longest first.

The decision is made from the calibration's costs alone, so the same trials on the same machine give
the same batches, inline and on Ray.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from harness.planning.costs import Calibration
from harness.planning.expected_epochs import expected_epochs
from harness.planning.gpus import Gpus, share_of_stack
from harness.planning.memory import PROCESS_BYTES
from harness.planning.resolved import resolve
from harness.planning.stacks import StackLimit, Uncut, cut, uncut_stacks
from harness.planning.times import Planned, StackMember, TrialTimes
from harness.sweeps.trial import Batch, Trial, canonical_json
from harness.sweeps.users_code import UsersCodeRaised, users_code
from harness.task.recipe import RECIPE
from harness.training.adversary import adversary_of
from harness.training.frontier_plan import search_of
from harness.training.recipe import recipe_of

BATCHES = 32
"""On processors a sweep is cut into at least about this many batches, so that workers end together
and little is lost with one."""

BATCH_S = (1.0, 30.0)
"""Seconds of work that a batch of several trials is planned to hold: at least and at most."""

LONGEST = 1.2
"""A batch may take this multiple of the longest trial's seconds: no sweep ends before that trial
does."""

CPU_STACK_BYTES = 1_500_000_000
"""Bytes that a stack may take beyond its process on a processor. A larger one would not run
faster."""

CPU_STACK_TRIALS = 256
"""Trials that a stack may hold on a processor."""

GPU_STACK_TRIALS = 4096
"""The most trials that a stack holds on a GPU. The GPU's memory is the other limit."""

TIME_LIMIT_SHARE = 1 / 4
"""The part of one trial's time limit that a batch of several is planned to take."""

DATA_FREE = ("lr", "rate_width", "stop", "max_epochs", "check_every", *RECIPE)
"""Fields of every configuration that say how to train, not on what."""


def make_batches(
    trials: Sequence[Trial],
    calibration: Calibration,
    measure_points: int,
    seconds_per_trial: float,
    memory_bytes: float = math.inf,
    gpus: float | Gpus = 0.0,
) -> list[Planned]:
    """Return batches that hold every trial once. Batches with the most GPUs come first, and among
    equals the longest. A trial whose model cannot be built is a batch of its own.

    `memory_bytes` is what a worker may take: of a GPU, if it has one. A stack is planned to take at
    most half of what its process leaves of that. `gpus` is either what every batch is given, or a
    `Gpus`, of which each batch gets the smallest share that holds it, `least` or more.
    """
    gpu_bytes = gpus.bytes if isinstance(gpus, Gpus) else math.inf if gpus else None
    family_stacks = FamilyStacks.of(trials, calibration, measure_points, gpu_bytes)
    return family_stacks.batches(seconds_per_trial, memory_bytes, gpus, processes=1)


class FamilyStacks(NamedTuple):
    """The stacks of some trials before they are cut for a worker's time and memory."""

    stacks: list[Uncut]
    broken: list[Trial]
    """The trials whose models cannot be built."""
    times: TrialTimes

    @classmethod
    def of(
        cls,
        trials: Sequence[Trial],
        calibration: Calibration,
        measure_points: int,
        gpu_bytes: float | None,
    ) -> "FamilyStacks":
        """Return the stacks of these trials. gpu_bytes: the memory of one GPU; None on
        processors."""
        members: list[StackMember] = []
        broken: list[Trial] = []
        for trial in trials:
            try:
                with users_code(f"the model of task '{trial.ref.name}'", "when it is planned"):
                    members.append(_stack_member(trial))
            except UsersCodeRaised:
                broken.append(trial)

        families: dict[Hashable, list[StackMember]] = defaultdict(list)
        for member in members:
            families[_family_key(member)].append(member)

        times = TrialTimes(calibration, measure_points, gpu_bytes)
        stacks = [s for family in families.values() for s in uncut_stacks(family, times)]
        return cls(stacks, broken, times)

    def batches(
        self, seconds_per_trial: float, memory_bytes: float, gpus: float | Gpus, processes: int
    ) -> list[Planned]:
        """Cut the stacks, and put small ones together; see `make_batches`. processes: workers that
        share the GPUs here."""
        on_gpu = bool(gpus)
        bytes_left = (memory_bytes - PROCESS_BYTES) / 2
        seconds = self._target_seconds(seconds_per_trial, processes if on_gpu else None)
        limit = StackLimit(
            seconds,
            bytes=bytes_left if on_gpu else min(CPU_STACK_BYTES, bytes_left),
            trials=GPU_STACK_TRIALS if on_gpu else CPU_STACK_TRIALS,
            most_seconds=seconds_per_trial * TIME_LIMIT_SHARE if on_gpu else seconds,
        )
        pieces = [piece for rows in self.stacks for piece in cut(rows, self.times, limit)]

        members = (member for rows in self.stacks for row in rows for member in row)
        packed: list[Planned] = []
        for share, alike in _by_share(pieces, members, gpus).items():
            packed += _packed(alike, seconds, share)

        share = gpus.least if isinstance(gpus, Gpus) else gpus
        broken = [Planned(Batch(((trial,),), share), 0.0) for trial in self.broken]
        return sorted([*packed, *broken], key=lambda p: (-p.batch.gpus, -p.seconds))

    def _target_seconds(self, seconds_per_trial: float, processes: int | None) -> float:
        """Return the seconds that a batch should take. processes: workers that share the GPUs; None
        on processors, where a cluster may have any number of them."""
        rows = [row for stack in self.stacks for row in stack]
        alone = [self.times.alone(member) for row in rows for member in row]
        if processes is None:
            wanted = sum(alone) / BATCHES
        else:
            wholes = ([m for row in stack for m in row] for stack in self.stacks)
            wanted = sum(map(self.times.cheapest, wholes)) / processes

        least, most = BATCH_S
        wanted = max(wanted, LONGEST * max(alone, default=0.0), least)
        return min(wanted, most, seconds_per_trial * TIME_LIMIT_SHARE)


def _stack_member(trial: Trial) -> StackMember:
    """Resolve the trial and say how long, and on which data, it trains."""
    resolved = resolve(trial)
    config = resolved.config
    without_data = config.fields_marked("size") | set(DATA_FREE)
    data = {name: value for name, value in trial.config.items() if name not in without_data}
    return StackMember(
        resolved,
        epochs=expected_epochs(config, resolved.shape),
        group=f"{trial.seed} {config.rate} {recipe_of(config)} {canonical_json(data)}",
    )


def _family_key(member: StackMember) -> Hashable:
    """Return a value that is equal for trials that may be stacked."""
    alone = None if member.resolved.task.stackable else member.trial.trial_id
    return (
        member.trial.ref,
        alone,
        member.shape.family,
        member.shape.input_shape,
        member.shape.outputs,
        member.config.n,
        member.config.samples_per_step,
        recipe_of(member.config).rule,
        member.config.check_every,
        adversary_of(member.config),
        search_of(member.config),
    )


def _by_share(
    stacks: Iterable[Planned], members: Iterable[StackMember], gpus: float | Gpus
) -> dict[float, list[Planned]]:
    """Sort stacks by the share of GPUs that each is given."""
    member_of = {m.trial.trial_id: m for m in members}
    by_share: dict[float, list[Planned]] = defaultdict(list)
    for planned in stacks:
        if isinstance(gpus, Gpus):
            stack = [member_of[t.trial_id] for t in planned.batch.trials]
            groups = len({m.group for m in stack})
            share = share_of_stack([m.resolved for m in stack], groups, gpus)
        else:
            share = gpus
        by_share[share].append(planned)
    return by_share


def _packed(stacks: list[Planned], target: float, gpus: float) -> list[Planned]:
    """Put small stacks of one share of GPUs one after another into a batch, until it is worth a
    worker's while."""
    batches: list[Planned] = []
    waiting: list[tuple[Trial, ...]] = []
    seconds = 0.0
    for planned in sorted(stacks, key=lambda p: -p.seconds):
        # several GPUs train one trial at a time
        if planned.seconds >= target / 2 or gpus > 1:
            batches.append(Planned(replace(planned.batch, gpus=gpus), planned.seconds))
            continue

        waiting += planned.batch.stacks
        seconds += planned.seconds
        if seconds >= target:
            batches.append(Planned(Batch(tuple(waiting), gpus), seconds))
            waiting = []
            seconds = 0.0

    if waiting:
        batches.append(Planned(Batch(tuple(waiting), gpus), seconds))
    return batches
