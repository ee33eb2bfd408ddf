"""Which trials one worker runs together: stacks where stacking pays, batches of a few seconds,
longest first.

The decision is made from the calibration's costs alone, so the same trials on the same machine give
the same batches, inline and on Ray.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

from harness.planning.costs import Calibration
from harness.planning.expected_epochs import expected_epochs
from harness.planning.gpus import Gpus, share_of_stack
from harness.planning.memory import PROCESS_BYTES
from harness.planning.resolved import resolve
from harness.planning.stacks import STACK_BYTES, StackLimit, stacks_of
from harness.planning.times import Planned, StackMember, TrialTimes
from harness.sweeps.gpu_shares import SMALLEST
from harness.sweeps.trial import Batch, Trial, canonical_json
from harness.sweeps.users_code import UsersCodeRaised, users_code
from harness.task.recipe import RECIPE
from harness.training.adversary import adversary_of
from harness.training.frontier_plan import search_of
from harness.training.recipe import recipe_of

BATCHES = 32
"""A sweep is cut into at least about this many batches, so that workers end together and little
is lost with one."""

BATCH_S = (1.0, 30.0)
"""Seconds of work that a batch of several trials is planned to hold: at least and at most."""

LONGEST = 1.2
"""A batch may take this multiple of the longest trial's seconds: no sweep ends before that trial
does."""

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

    `memory_bytes` is what a worker may take. A stack is planned to take at most half of what its
    process leaves of that. `gpus` is either what every batch is given, or a `Gpus`, of which each
    batch gets the smallest share that holds it.
    """
    members: list[StackMember] = []
    broken: list[Planned] = []
    for trial in trials:
        try:
            with users_code(f"the model of task '{trial.ref.name}'", "when it is planned"):
                members.append(_stack_member(trial))
        except UsersCodeRaised:
            share = SMALLEST if isinstance(gpus, Gpus) else gpus
            broken.append(Planned(Batch(((trial,),), share), 0.0))

    families: dict[Hashable, list[StackMember]] = defaultdict(list)
    for member in members:
        families[_family_key(member)].append(member)

    times = TrialTimes(calibration, measure_points)
    in_families = (m for family in families.values() for m in family)
    limit = StackLimit(
        _target_seconds([times.alone(m) for m in in_families], seconds_per_trial),
        min(STACK_BYTES, (memory_bytes - PROCESS_BYTES) / 2),
    )
    stacks = [s for family in families.values() for s in stacks_of(family, times, limit)]

    packed: list[Planned] = []
    for share, alike in _by_share(stacks, members, gpus).items():
        packed += _packed(alike, limit.seconds, share)
    return sorted([*packed, *broken], key=lambda planned: (-planned.batch.gpus, -planned.seconds))


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


def _target_seconds(alone: Sequence[float], seconds_per_trial: float) -> float:
    """Return the seconds that a batch should take. alone: the seconds of each trial run by
    itself."""
    least, most = BATCH_S
    wanted = max(sum(alone) / BATCHES, LONGEST * max(alone, default=0.0), least)
    return min(wanted, most, seconds_per_trial * TIME_LIMIT_SHARE)


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
