"""Search for the most robust fit: of all models of one size, the one that loses at most R*/2 of its
noisy training points within the largest ℓ2 radius.

    (found,) = most_robust_fits([model], [data], [config], [Seeds(0)])
    found.best.radius

1. Trainings whose radius follows the error, one for each loss, give each model a first radius.
2. From the best of them, trainings towards radii a few per cent apart, until they gain nothing.
   The smallest radius that was aimed at and not reached is the bracket's upper end.

`harness/measures/frontier_columns.py` then measures the best model by searches that no training has
used.

What is found is low as far as training goes and high as far as the attack goes. docs/frontier.md
has the definition, the theory and the limits.
"""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from harness.task import Config, Data, Seeds
from harness.training.frontier_plan import (
    AIMS,
    FIRST_LOSSES,
    GAIN,
    LEAST,
    MOST,
    PENALTY,
    ROUNDS,
    SELECTION,
    SELECTION_ROUNDS,
    STRENGTH_STEPS,
    STRENGTHS,
    epochs_of,
    later_epochs,
)
from harness.training.gradient_penalty import PenaltyObjective
from harness.training.program import Program
from harness.training.robust_error import Points, own_radius
from harness.training.robust_training import FollowingError, Growing, Objective, optimise
from harness.training.stack import stack


class Candidate(NamedTuple):
    """A trained model. Lengths are in the inputs' own numbers."""

    model: nn.Module
    way: str
    radius: float
    """Its own radius by the selection's attack."""
    aim: float | None = None
    """The radius that its training aimed at."""
    strength: float = 0.0
    """Of its gradient penalty, in squared data units."""
    one_answer: bool = False
    """Whether it gives all training points the same answer."""

    @property
    def missed(self) -> bool:
        """Whether its training aimed at a radius and did not reach it."""
        return self.aim is not None and self.radius < self.aim


class Frontier(NamedTuple):
    """The most robust fit that was found, and all that were tried."""

    best: Candidate
    tried: list[Candidate]
    epochs: int
    """Of all trainings together."""

    def missed_above(self, radius: float) -> Candidate | None:
        """Return the training with the smallest aim above `radius`, a length in the inputs' own
        numbers, that did not reach its aim; None where there is none."""
        missed = [c for c in self.tried if c.missed and c.aim is not None and c.aim > radius]
        return min(missed, key=lambda c: c.aim or 0.0, default=None)


def most_robust_fits(
    models: Sequence[nn.Module],
    data: Sequence[Data],
    configs: Sequence[Config],
    seeds: Sequence[Seeds],
) -> list[Frontier]:
    """Return the most robust fit found for each model's size, on its own data. The models are the
    starting points and stay as they are.

    All are of one architecture, with equally many samples of one shape and one kind of target, and
    search in the same way. Raise ValueError where labels have no noise, CannotStack where copies of
    a model cannot be one program.
    """
    if any(d.noise.bayes_error <= 0 for d in data):
        raise ValueError(
            "a frontier needs labels with injected noise: it is the radius within which at most"
            " half of the noise's error is made"
        )
    search = _BallSearch if configs[0].frontier == "adversary" else _PenaltySearch
    search = search(models, data, configs, seeds)

    tried = search.first_trainings()
    best = [_best(candidates) for candidates in tried]
    active = [t for t, c in enumerate(best) if 0 < c.radius < MOST * float(search.units[t])]
    for _ in range(ROUNDS):
        if not active:
            break
        later = search.later_trainings(active, [best[t] for t in active])
        gains = []
        for t, candidates in zip(active, later, strict=True):
            tried[t] += candidates
            before = best[t].radius
            best[t] = _best([best[t], *candidates])
            if best[t].radius > GAIN * before:
                gains.append(t)
        active = gains

    return [
        Frontier(candidate, candidates, epochs_of(configs[0], len(candidates)))
        for candidate, candidates in zip(best, tried, strict=True)
    ]


class _Search:
    """What both ways of searching share: the points, and how a stack of candidates is trained and
    compared."""

    def __init__(
        self,
        models: Sequence[nn.Module],
        data: Sequence[Data],
        configs: Sequence[Config],
        seeds: Sequence[Seeds],
    ):
        device = data[0].x_train.device
        self.models = list(models)
        self.config = configs[0]
        self.rates = [config.rate for config in configs]
        self.units = torch.tensor([d.unit() for d in data], device=device)
        # Not a trial's own: a search must find the same alone as in a stack, which has one order.
        self.order = torch.Generator().manual_seed(0)
        self.selecting = [seed.generator("adversary") for seed in seeds]
        self.points = Points(
            torch.stack([d.x_train for d in data]),
            torch.stack([d.y_train for d in data]),
            data[0].classes,
            torch.tensor([d.noise.bayes_error / 2 for d in data], device=device).double(),
            self.config.evaluated_together,
        )

    def train(
        self, trials: Sequence[int], modules: list[nn.Module], objective: Objective, epochs: int
    ) -> Program:
        """Train copies of modules, equally many for each of the trials, as one program."""
        program = stack([copy.deepcopy(m) for m in modules], self.points.x[0, :4])
        optimise(
            program,
            self.points.of(trials),
            objective,
            [self.rates[t] for t in trials],
            epochs,
            self.config.samples_per_step,
            self.order,
        )
        return program

    def radii(self, trials: Sequence[int], program: Program, low: Tensor, high: Tensor) -> Tensor:
        """Return each candidate's own radius (M,), by the attack of the selection."""
        draws = [self.selecting[t] for t in trials]
        points = self.points.of(trials)
        return own_radius(program, points, low, high, SELECTION_ROUNDS, SELECTION, draws)

    def candidates(
        self,
        trials: Sequence[int],
        program: Program,
        ways: Sequence[str],
        radii: Tensor,
        aims: Sequence[float | None] | None = None,
        strengths: Sequence[float] | None = None,
    ) -> list[list[Candidate]]:
        """Return the program's models as candidates, in one list a trial."""
        aims = aims or [None] * len(ways)
        strengths = strengths or [0.0] * len(ways)
        alike = self.one_answer(trials, program).tolist()
        of_models = [
            Candidate(program.unstack(m), way, float(radii[m]), aims[m], strengths[m], alike[m])
            for m, way in enumerate(ways)
        ]
        each = len(ways) // len(trials)
        return [of_models[i : i + each] for i in range(0, len(of_models), each)]

    @torch.no_grad()
    def one_answer(self, trials: Sequence[int], program: Program) -> Tensor:
        """Return whether each model gives all its training points the same answer, (M,)."""
        outputs = program(self.points.of(trials).x)
        answers = outputs.argmax(2) if self.points.classes else outputs.squeeze(2) >= 0
        return (answers == answers[:, :1]).all(1)

    def limit(self, units: float, trials: Sequence[int], each: int) -> Tensor:
        """Return so many data units for each candidate (M,), in the inputs' own numbers."""
        return units * self.units[list(trials)].repeat_interleave(each).double()


class _BallSearch(_Search):
    """Trainings against balls around the training points."""

    def first_trainings(self) -> list[list[Candidate]]:
        trials = range(len(self.models))
        each = len(FIRST_LOSSES)
        least = self.limit(LEAST, trials, each)
        most = self.limit(MOST, trials, each)
        steps = self.config.max_epochs * self.config.steps_per_epoch

        objective = FollowingError(self.points, FIRST_LOSSES * len(trials), least, most, steps)
        program = self.train(trials, _repeat(self.models, each), objective, self.config.max_epochs)
        reached = objective.radius
        radii = self.radii(trials, program, reached / 8, torch.minimum(1.5 * reached, most))
        return self.candidates(trials, program, objective.ways, radii)

    def later_trainings(
        self, trials: Sequence[int], best: Sequence[Candidate]
    ) -> list[list[Candidate]]:
        each = len(AIMS)
        ways = _repeat([candidate.way for candidate in best], each)
        first = torch.tensor([c.radius for c in best], device=self.units.device).double()
        first = first.repeat_interleave(each)
        most = self.limit(MOST, trials, each)
        aim = torch.minimum(first * first.new_tensor(AIMS * len(best)), most)

        objective = Growing(self.points.of(trials), ways, first, aim)
        modules = _repeat([candidate.model for candidate in best], each)
        program = self.train(trials, modules, objective, later_epochs(self.config))
        radii = self.radii(trials, program, aim / 2, torch.minimum(1.25 * aim, most))
        return self.candidates(trials, program, ways, radii, aims=aim.tolist())


class _PenaltySearch(_Search):
    """Trainings with gradient penalties, whose strength is searched."""

    def first_trainings(self) -> list[list[Candidate]]:
        trials = range(len(self.models))
        strengths = STRENGTHS * len(trials)
        modules = _repeat(self.models, len(STRENGTHS))
        return self._trained(trials, modules, strengths, self.config.max_epochs)

    def later_trainings(
        self, trials: Sequence[int], best: Sequence[Candidate]
    ) -> list[list[Candidate]]:
        strengths = [c.strength * step for c in best for step in STRENGTH_STEPS]
        modules = _repeat([candidate.model for candidate in best], len(STRENGTH_STEPS))
        return self._trained(trials, modules, strengths, later_epochs(self.config))

    def _trained(
        self,
        trials: Sequence[int],
        modules: list[nn.Module],
        strengths: Sequence[float],
        epochs: int,
    ) -> list[list[Candidate]]:
        each = len(strengths) // len(trials)
        units = self.units[list(trials)].repeat_interleave(each)
        strength = units.square() * units.new_tensor(strengths)
        objective = PenaltyObjective(self.points.of(trials), strength)
        program = self.train(trials, modules, objective, epochs)

        # Without a radius in training there is no guess: begin with all that a data unit holds.
        radii = self.radii(trials, program, self.limit(LEAST, trials, each), units.double())
        ways = [PENALTY] * len(strengths)
        return self.candidates(trials, program, ways, radii, strengths=strengths)


def _best(candidates: Sequence[Candidate]) -> Candidate:
    return max(candidates, key=lambda candidate: candidate.radius)


def _repeat(items: Sequence, each: int) -> list:
    return [item for item in items for _ in range(each)]
