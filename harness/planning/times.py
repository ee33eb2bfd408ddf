"""How long trials take, alone and stacked, by the machine's calibration; and how long a whole run
takes."""

import heapq
import math
from collections.abc import Sequence
from typing import NamedTuple

from harness.measures.columns import FEWER_COORDINATES, GPU_PART, TOGETHER_BYTES
from harness.measures.jacobian import FEW_OUTPUTS
from harness.planning.costs import Calibration, Cost
from harness.planning.memory import NUMBER_BYTES
from harness.planning.model_shape import Shape
from harness.planning.resolved import ResolvedTrial
from harness.sweeps.trial import Batch, Trial
from harness.task import Config
from harness.training.frontier_plan import expected_effort

FORECAST_OVERHEAD = 1.35
"""Multiplies a forecast, for what the calibration does not time: exact evaluations, dropping
finished models, first imports, Ray's work. Without it, the seconds taken by quickstart, sphere-law
and mnist-law on a quiet machine were 1.59, 1.43 and 1.28 times the forecast (LOG.md)."""

RAY_START_S = 8.0
"""Seconds until Ray and its workers, torch loaded, are at work on one machine."""

RIVAL_SHARE = 0.02
"""Seconds of measuring that each rival class adds, as a part of the seconds with one: a backward
pass at each of the search's two starting points."""

LOOKS_THAT_EVALUATE = 0.3
"""The part of the looks that `check_every` asks for at which the whole training set is evaluated:
0.22 to 0.39 in eight trainings of gpt-law (LOG.md)."""

EVALUATION_SHARE = 0.5
"""Seconds of evaluating a sample, as a part of those of training on it: 0.2 to 0.5 in GPTs on
windows, the larger the more."""

ROUNDING = 1e-6
"""Shares of GPUs are added up as floats. A difference of this size is no shortage."""

TRIAL_S = 0.003
"""Seconds of a small trial's initialisation, checks and row."""

DATA_NUMBER_S = 1.5e-8
"""Seconds of drawing, checking and hashing one number of the data."""


class Planned(NamedTuple):
    """A batch and the seconds it should take on this machine with no other core busy."""

    batch: Batch
    seconds: float


class StackMember(NamedTuple):
    """A trial that may share a stack, with its expected epochs."""

    resolved: ResolvedTrial
    epochs: float
    group: str
    """Equal for trials that see the same samples in the same order at one learning rate."""

    @property
    def one_after_another(self) -> float:
        """Epochs that the trial's trainings take one after another; a search of the frontier has
        several at once."""
        if self.config.frontier:
            return expected_effort(self.config).one_after_another
        return self.epochs

    @property
    def trial(self) -> Trial:
        """The trial itself."""
        return self.resolved.trial

    @property
    def config(self) -> Config:
        """The trial's validated configuration."""
        return self.resolved.config

    @property
    def shape(self) -> Shape:
        """The shape of the trial's model."""
        return self.resolved.shape


class StackTotals(NamedTuple):
    """Sums and maxima over the members of a stack, from which its seconds follow."""

    config: Config
    """The first member's: the fields that matter here are equal in a family."""
    largest: Shape
    """All others are padded to it."""
    members: int
    groups: int
    epochs_sum: float
    epochs_max: float

    @classmethod
    def of(cls, members: Sequence[StackMember]) -> "StackTotals":
        """Return the totals of these members of one family."""
        epochs = [m.epochs for m in members]
        return cls(
            config=members[0].config,
            largest=max((m.shape for m in members), key=lambda shape: shape.p),
            members=len(members),
            groups=len({m.group for m in members}),
            epochs_sum=sum(epochs),
            epochs_max=max(m.one_after_another for m in members),
        )

    def with_column(self, column: "StackTotals") -> "StackTotals":
        """Return the totals after one larger model for each group has been added."""
        return self._replace(
            largest=max(self.largest, column.largest, key=lambda shape: shape.p),
            members=self.members + column.members,
            epochs_sum=self.epochs_sum + column.epochs_sum,
            epochs_max=max(self.epochs_max, column.epochs_max),
        )


class TrialTimes:
    """Seconds of trials alone and stacked, by the calibration.

    gpu_bytes: the memory of the GPU that they run on; None for a processor.
    """

    def __init__(
        self, calibration: Calibration, measure_points: int, gpu_bytes: float | None = None
    ):
        self.calibration = calibration
        self.measure_points = measure_points
        self.gpu_bytes = gpu_bytes

    def alone(self, member: StackMember) -> float:
        """Return the seconds of a trial that runs by itself."""
        config = member.config
        itself = StackTotals.of([member])
        if config.frontier:  # its candidates are a stack
            return self.stacked(itself)
        cost = self.calibration.training(member.shape.kind, stacked=False)
        step = cost.fixed * config.adversary_passes + _step_seconds(cost, config, member.shape)

        return (
            config.steps_per_epoch * member.epochs * step
            + self._measuring(itself)
            + TRIAL_S
            + _data_seconds(itself)
        )

    def cheapest(self, members: Sequence[StackMember]) -> float:
        """Return the seconds of these members of one family, stacked or one after another."""
        return min(self.stacked(StackTotals.of(members)), sum(map(self.alone, members)))

    def stacked(self, stack: StackTotals) -> float:
        """Return the seconds of a stack: every model padded to the largest, each until it is
        done."""
        config = stack.config
        largest = stack.largest

        cost = self.calibration.training(largest.kind, stacked=True)
        fixed = cost.fixed * (1 + config.adversary_passes)
        of_each_model = _step_seconds(cost, config, largest) - cost.fixed

        return (
            config.steps_per_epoch * (fixed * stack.epochs_max + of_each_model * stack.epochs_sum)
            + self.calibration.starting.seconds(0.0, 0.0, stack.members)
            + self._measuring(stack)
            + TRIAL_S * stack.members
            + _data_seconds(stack)
        )

    def _measuring(self, stack: StackTotals) -> float:
        if not self.measure_points:
            return 0.0

        largest = stack.largest
        points = self.measure_points * stack.members
        flops = points * largest.flops_per_sample
        saved_bytes = points * largest.saved_bytes_per_sample

        if largest.outputs > FEW_OUTPUTS:
            numbers = largest.p * stack.members
            cost = self.calibration.vocabulary
            rivals = 0
        else:
            numbers = points * largest.numbers
            cost = self.calibration.measuring
            rivals = largest.outputs - 1

        programs = math.ceil(
            NUMBER_BYTES * points * largest.numbers / self._together_bytes(largest)
        )
        further_programs = cost.fixed * (min(max(1, programs), stack.members) - 1)
        seconds = cost.seconds(flops, numbers, stack.members, saved_bytes) + further_programs
        return (1 + RIVAL_SHARE * rivals) * seconds

    def _together_bytes(self, shape: Shape) -> float:
        """Return the bytes that the points of models that are measured as one program may take."""
        if self.gpu_bytes is not None:
            return GPU_PART * self.gpu_bytes
        return TOGETHER_BYTES * (FEWER_COORDINATES if shape.kind == "linear" else 1)


def _data_seconds(stack: StackTotals) -> float:
    """Return the seconds of making the data, once for each group."""
    return DATA_NUMBER_S * stack.groups * stack.config.n * stack.largest.numbers


def _step_seconds(cost: Cost, config: Config, shape: Shape) -> float:
    """Return the mean seconds of one optimiser step of one model, with its adversary's passes and
    its part of what `check_every` evaluates. `cost.fixed` counts once: the passes' own fixed
    seconds are left out. 0 for a model that comes trained, which takes no step."""
    if not config.steps_per_epoch:
        return 0.0
    samples = config.n / config.steps_per_epoch
    flops = samples * shape.training_flops(config)
    saved_bytes = samples * shape.saved_bytes_per_sample * (1 + config.adversary_passes)
    step = cost.seconds(flops, shape.p, 1, saved_bytes)
    if not config.check_every:
        return step

    one_pass = cost._replace(fixed=0.0).seconds(
        config.n * shape.flops_per_sample, 0.0, 1, config.n * shape.saved_bytes_per_sample
    )
    return step + LOOKS_THAT_EVALUATE / config.check_every * EVALUATION_SHARE * one_pass


def side_by_side(planned: Sequence[Planned], slots: int, slowdown: float) -> list[Planned]:
    """Return the batches with the seconds that each takes while `slots` workers are busy."""
    if min(slots, len(planned)) < 2:
        return list(planned)
    return [p._replace(seconds=p.seconds * slowdown) for p in planned]


def wall_seconds(
    planned: Sequence[Planned], slots: int, slowdown: float, gpus: float = math.inf
) -> float:
    """Return the seconds until all batches have ended. They begin in order, each as soon as one of
    `slots` workers and its share of the GPUs are free."""
    now = 0.0
    free_gpus = gpus
    running: list[tuple[float, float]] = []  # when each ends, and its share
    for p in side_by_side(planned, slots, slowdown):
        share = min(p.batch.gpus, gpus)
        while running and (len(running) >= max(1, slots) or share > free_gpus + ROUNDING):
            now, freed = heapq.heappop(running)
            free_gpus += freed
        heapq.heappush(running, (now + p.seconds, share))
        free_gpus -= share
    return max((end for end, _ in running), default=0.0)
