"""Which trials one worker runs together, and for how long: stacks where stacking pays, batches of a
few seconds, longest first.

The decision is made from the calibration's costs alone, so the same trials on the same machine give
the same batches, inline and on Ray.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from harness.language import LanguageTask
from harness.measures.jacobian import FEW_OUTPUTS
from harness.planning.expected_epochs import expected_epochs
from harness.planning.machine_speed import Calibration, Cost
from harness.planning.memory import PROCESS_BYTES, alone_bytes, stack_bytes
from harness.planning.model_shape import Shape, shape_of
from harness.sweeps.gpu_shares import SMALLEST, smallest_fitting_share
from harness.sweeps.registry import load
from harness.sweeps.trial import Batch, Trial, canonical_json
from harness.task import Config
from harness.training.adversary import adversary_of

BATCHES = 32
"""A sweep is cut into at least about this many batches, so that workers end together and little
is lost with one."""

BATCH_S = (1.0, 30.0)
"""Seconds of work that a batch of several trials is planned to hold: at least and at most."""

STACK_BYTES = 1_500_000_000
"""What a stack may take beyond its process, where there is that much: more would not run faster."""

STACK_TRIALS = 256

VOCABULARY_STEPS = 540
"""Training steps on its points that measuring a model of a vocabulary takes: Lanczos's products,
and the searches (LOG.md)."""

TRIAL_S = 0.003
"""Initialisation, checks and the row of a small trial."""

DATA_NUMBER_S = 1.5e-8
"""Drawing, checking and hashing one number of the data."""

DATA_FREE = ("lr", "stop", "max_epochs")
"""Fields of every configuration that say how to train, not on what."""


FORECAST_OVERHEAD = 1.35
"""What the calibration does not time: exact evaluations, dropping finished models, first
imports, Ray's work. Without it, the seconds taken by quickstart, sphere-law and mnist-law on a
quiet machine were 1.59, 1.43 and 1.28 times the forecast (LOG.md)."""


class Planned(NamedTuple):
    """A batch and the seconds it should take on this machine with no other core busy."""

    batch: Batch
    seconds: float


class Gpus(NamedTuple):
    """What shares are chosen from: GPUs of so many bytes each, of which a language model's trial
    may have at most so many."""

    bytes: float
    most: int


class _Member(NamedTuple):
    """A trial with what planning needs to know of it."""

    trial: Trial
    config: Config
    shape: Shape
    epochs: float
    row: str
    """Equal for trials that see the same samples in the same order at one learning rate."""


def make_batches(
    trials: Sequence[Trial],
    calibration: Calibration,
    measure_points: int,
    seconds_per_trial: float,
    memory_bytes: float = math.inf,
    gpus: float | Gpus = 0.0,
) -> list[Planned]:
    """Every trial in one batch: those with the most GPUs first, and of them the longest. A trial
    whose model cannot be built is a batch of its own.

    `memory_bytes` is what a worker may take; a stack is planned to take at most half of what its
    process leaves. `gpus` is what every batch is given, or what each gets the smallest share of
    that holds it.
    """
    families: dict[Any, list[_Member]] = defaultdict(list)
    members_by_id: dict[str, _Member] = {}
    broken = []
    for trial in trials:
        try:
            member = _member(trial)
        except (Exception, SystemExit):
            broken.append(
                Planned(Batch(((trial,),), SMALLEST if isinstance(gpus, Gpus) else gpus), 0.0)
            )
            continue
        members_by_id[trial.trial_id] = member
        shape, config = member.shape, member.config
        # A language model's trial is never part of a stack: it is large, or has no stop rule to
        # share.
        alone = trial.trial_id if isinstance(load(trial.ref), LanguageTask) else None
        alike = (
            alone,
            shape.family,
            shape.input_shape,
            shape.outputs,
            config.n,
            config.samples_per_step,
            adversary_of(config),
        )
        families[trial.ref, alike].append(member)
    cost = _Cost(calibration, measure_points)
    apart = [cost.alone(m) for members in families.values() for m in members]
    # No sweep ends before its longest trial, so a stack may take about as long as that.
    target = min(
        max(sum(apart) / BATCHES, 1.2 * max(apart, default=0.0), BATCH_S[0]),
        BATCH_S[1],
        seconds_per_trial / 4,
    )
    room = min(STACK_BYTES, (memory_bytes - PROCESS_BYTES) / 2)
    stacks = [
        s for members in families.values() for s in _stacks(members, cost, _Limit(target, room))
    ]
    by_share: dict[float, list[Planned]] = defaultdict(list)
    for planned in stacks:
        by_share[_share([members_by_id[t.trial_id] for t in planned.batch.trials], gpus)].append(
            planned
        )
    packed = [
        planned for share, alike in by_share.items() for planned in _packed(alike, target, share)
    ]
    return sorted([*packed, *broken], key=lambda planned: (-planned.batch.gpus, -planned.seconds))


def _share(members: list[_Member], gpus: float | Gpus) -> float:
    """What a stack is given; where nothing allowed holds it, as much as is allowed."""
    if not isinstance(gpus, Gpus):
        return gpus
    alone = max(members, key=lambda m: m.shape.p)
    if len(members) == 1:
        return share_alone(alone.trial, alone.config, alone.shape, gpus) or float(
            max_gpus_of(alone.trial, gpus.most)
        )
    taken = 2 * stack_bytes([(m.config, m.shape) for m in members], len({m.row for m in members}))
    return smallest_fitting_share(lambda _: taken, gpus.bytes, 1) or 1.0


def share_alone(trial: Trial, config: Config, shape: Shape, gpus: Gpus) -> float | None:
    """The smallest share of GPUs that holds a trial by itself; None when nothing allowed does."""
    return smallest_fitting_share(
        lambda share: alone_bytes(trial, config, shape, share),
        gpus.bytes,
        max_gpus_of(trial, gpus.most),
    )


def max_gpus_of(trial: Trial, most: int) -> int:
    """How many GPUs a trial can use: only language models train on several."""
    return most if isinstance(load(trial.ref), LanguageTask) else 1


def _member(trial: Trial) -> _Member:
    config = trial.load_config()
    shape = shape_of(trial.ref, config)
    size = config.fields_marked("size")
    data = canonical_json(
        {k: v for k, v in trial.config.items() if k not in size and k not in DATA_FREE}
    )
    return _Member(
        trial, config, shape, expected_epochs(config, shape), f"{trial.seed} {config.lr} {data}"
    )


class _Limit(NamedTuple):
    """What a stack may take."""

    seconds: float
    bytes: float


class _Cost:
    """Seconds of trials alone and stacked, by the calibration."""

    def __init__(self, calibration: Calibration, measure_points: int):
        self.calibration, self.measure_points = calibration, measure_points

    def alone(self, m: _Member) -> float:
        step = self.calibration.training(m.shape, stacked=False)
        each = step.fixed * m.config.adversary_passes + _step_seconds(step, m.config, m.shape)
        return (
            m.config.steps_per_epoch * m.epochs * each
            + self._measuring([m])
            + TRIAL_S
            + self._data([m])
        )

    def stacked(self, members: Sequence[_Member]) -> float:
        """All padded to the largest, each until it is done."""
        config, largest = members[0].config, max((m.shape for m in members), key=lambda s: s.p)
        step = self.calibration.training(largest, stacked=True)
        each = _step_seconds(step, config, largest) - step.fixed
        epochs = [m.epochs for m in members]
        return (
            config.steps_per_epoch
            * (step.fixed * (1 + config.adversary_passes) * max(epochs) + each * sum(epochs))
            + self._measuring(members)
            + TRIAL_S * len(members)
            + self._data(members)
        )

    def _data(self, members: Sequence[_Member]) -> float:
        return (
            DATA_NUMBER_S
            * len({m.row for m in members})
            * members[0].config.n
            * members[0].shape.numbers
        )

    def _measuring(self, members: Sequence[_Member]) -> float:
        if not self.measure_points:
            return 0.0
        cost, largest = (
            self.calibration.measuring,
            max((m.shape for m in members), key=lambda s: s.p),
        )
        points = self.measure_points * len(members)  # all padded to the largest
        if largest.outputs > FEW_OUTPUTS:
            step = self.calibration.training(largest, stacked=False)
            return VOCABULARY_STEPS * step.seconds(
                points * largest.flops_per_sample,
                largest.p,
                len(members),
                points * largest.saved_bytes_per_sample,
            )
        seconds = cost.seconds(
            points * largest.flops_per_sample,
            points * largest.numbers,
            len(members),
            points * largest.saved_bytes_per_sample,
        )
        # a backward pass for every rival at each of the search's two beginnings
        return (1 + 0.02 * (largest.outputs - 1)) * seconds


def _step_seconds(cost: Cost, config: Config, shape: Shape) -> float:
    """One optimiser step of one model; `cost.fixed`, which an adversary's passes take as well,
    counts once."""
    batch = config.samples_per_step
    saved = batch * shape.saved_bytes_per_sample * (1 + config.adversary_passes)
    return cost.seconds(batch * shape.training_flops(config), shape.p, 1, saved)


def _stacks(members: list[_Member], cost: _Cost, limit: _Limit) -> list[Planned]:
    """One family cut into stacks of whole rows: neighbouring sizes share a stack while padding
    costs less than a stack of its own."""
    rows: dict[str, list[_Member]] = defaultdict(list)
    for m in members:
        rows[m.row].append(m)
    alike: dict[Any, list[list[_Member]]] = defaultdict(list)
    for row in rows.values():
        row.sort(key=lambda m: (m.shape.p, canonical_json(m.trial.config)))
        alike[tuple(m.shape.sizes for m in row)].append(row)
    found = []
    for bucket in alike.values():
        # neighbours of one learning rate share an optimiser call
        bucket.sort(key=lambda row: row[0].config.lr)
        begin, columns = 0, len(bucket[0])
        for end in range(1, columns + 1):
            if end < columns and _joins(bucket, begin, end, cost):
                continue
            found += _chunks([row[begin:end] for row in bucket], cost, limit)
            begin = end
    return found


def _joins(bucket: list[list[_Member]], begin: int, end: int, cost: _Cost) -> bool:
    """Whether the column `end` is cheaper inside the stack of the columns begin … end − 1 than
    apart from it."""
    before, column = (
        [m for row in bucket for m in row[part]]
        for part in (slice(begin, end), slice(end, end + 1))
    )
    largest, next_ = before[-1].shape.sizes, column[0].shape.sizes
    if [len(sizes) for sizes in largest] != [len(sizes) for sizes in next_]:
        return False
    if any(
        a > b
        for mine, its in zip(largest, next_, strict=True)
        for a, b in zip(mine, its, strict=True)
    ):
        return False  # neither holds the other
    return cost.stacked([*before, *column]) < min(
        cost.stacked(before), sum(map(cost.alone, before))
    ) + min(cost.stacked(column), sum(map(cost.alone, column)))


def _chunks(rows: list[list[_Member]], cost: _Cost, limit: _Limit) -> list[Planned]:
    """A stack cut into pieces of whole rows (or, of a row that is too much by itself, of
    neighbouring sizes) that fit."""
    whole = [m for row in rows for m in row]
    apart = [Planned(Batch(((m.trial,),)), cost.alone(m)) for m in whole]
    if len(whole) == 1 or cost.stacked(whole) >= sum(p.seconds for p in apart):
        return apart
    too_large = (
        stack_bytes([(m.config, m.shape) for m in whole], len(rows)) > limit.bytes
        or len(whole) > STACK_TRIALS
    )
    if too_large or cost.stacked(whole) > limit.seconds:
        halves = (rows[: len(rows) // 2], rows[len(rows) // 2 :])
        if len(rows) == 1:
            middle = len(rows[0]) // 2
            halves = ([rows[0][:middle]], [rows[0][middle:]])
        return [piece for half in halves for piece in _chunks(half, cost, limit)]
    return [Planned(Batch((tuple(m.trial for m in whole),)), cost.stacked(whole))]


def _packed(stacks: list[Planned], target: float, gpus: float) -> list[Planned]:
    """Small stacks of one share of GPUs, one after another in one batch until it is worth a
    worker's while."""
    batches, waiting, seconds = [], [], 0.0
    for planned in sorted(stacks, key=lambda p: -p.seconds):
        if planned.seconds >= target / 2 or gpus > 1:  # several GPUs train one trial at a time
            batches.append(Planned(replace(planned.batch, gpus=gpus), planned.seconds))
            continue
        waiting, seconds = [*waiting, *planned.batch.stacks], seconds + planned.seconds
        if seconds >= target:
            batches.append(Planned(Batch(tuple(waiting), gpus), seconds))
            waiting, seconds = [], 0.0
    return [*batches, Planned(Batch(tuple(waiting), gpus), seconds)] if waiting else batches


def wall_seconds(planned: Sequence[Planned], slots: int, slowdown: float) -> float:
    """How long workers that each take the next batch need for all of them."""
    busy_until = [0.0] * max(1, min(slots, len(planned)))
    for p in planned:
        first = busy_until.index(min(busy_until))
        busy_until[first] += p.seconds * (slowdown if len(busy_until) > 1 else 1.0)
    return max(busy_until)
