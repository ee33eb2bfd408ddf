"""Train a stack of models, each against balls of its own radius around its training points.

A model's attack on a point goes on where it ended an epoch before, so one step of ascent for each
step of training is enough: the weights have moved little meanwhile. In every epoch a tenth of the
points begin again at the centre; without that, wide models learn to be flat where the attack sits.
(Persistent perturbations: Zheng et al. 2020, arXiv 1912.11969.)
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from harness.training.balls import L2Ball
from harness.training.margins import LOSSES, margins
from harness.training.optimiser import StackedOptimiser, Stride
from harness.training.program import Program
from harness.training.robust_error import Points

RESTART_EVERY = 10
"""Epochs after which a point's attack begins again at its centre."""

LEAST_RATE = 0.01
"""The last learning rate over the first; between them it follows a cosine."""

DECADES = 3
"""Powers of ten that a radius can grow by in a third of a training, where it follows the error."""


class Step(NamedTuple):
    """One step of a training."""

    x: Tensor
    """(G, B, *input_shape)"""
    y: Tensor
    """(M, B), the labels for every model."""
    rows: Tensor
    """(B,), the numbers of these training points."""
    epoch: int
    progress: float
    """The share of the training that is done."""


class Objective(Protocol):
    """What a training minimises."""

    def losses(self, program: Program, step: Step) -> Tensor:
        """Return each model's mean loss (M,) on the step's batch."""
        ...


def optimise(
    program: Program,
    points: Points,
    objective: Objective,
    rates: Sequence[float],
    epochs: int,
    batch_size: int,
    order: torch.Generator,
) -> None:
    """Train every model of the program in place, with Adam at rates (one a group) that fall along a
    cosine."""
    groups, n = points.y.shape
    each = len(next(iter(program.parameters.values()))) // groups
    adam = StackedOptimiser(program.parameters)
    parameters = list(program.parameters.values())

    steps = epochs * -(-n // batch_size)
    program.train(True)
    batches = _batches(n, batch_size, epochs, order)
    for done, (epoch, rows) in enumerate(batches):
        progress = done / steps
        rows = rows.to(points.x.device)
        x, y = points.x[:, rows], points.y[:, rows].repeat_interleave(each, 0)

        losses = objective.losses(program, Step(x, y, rows, epoch, progress))
        gradients = torch.autograd.grad(losses.sum(), parameters, materialize_grads=True)
        fall = LEAST_RATE + (1 - LEAST_RATE) * (1 + math.cos(math.pi * progress)) / 2
        adam.step(program.parameters, gradients, [Stride(rate * fall) for rate in rates])
    program.train(False)


def _batches(
    n: int, size: int, epochs: int, order: torch.Generator
) -> Iterator[tuple[int, Tensor]]:
    """Yield each batch's epoch and rows. Where one batch holds all points, they stay in order."""
    for epoch in range(epochs):
        rows = torch.arange(n) if size >= n else torch.randperm(n, generator=order)
        for batch in rows.split(size):
            yield epoch, batch


class BallObjective:
    """The loss at points moved against the model, within balls that grow."""

    def __init__(self, points: Points, ways: Sequence[str], radius: Tensor):
        """ways: the name of each model's loss (M,). radius: (M,), where the balls begin."""
        models = len(ways)
        self.points = points
        self.ways = list(ways)
        self.radius = radius.clone()
        self.offset = points.x.new_zeros(models, *points.x.shape[1:])
        self._of_way = {
            way: torch.tensor([m for m in range(models) if ways[m] == way], device=radius.device)
            for way in dict.fromkeys(ways)
        }

    def grow(self, robust_error: Tensor) -> None:
        """Set the radii for the next step, from the share of points lost in this one, (M,)."""

    def losses(self, program: Program, step: Step) -> Tensor:
        centre = step.x.repeat_interleave(len(self.ways) // len(step.x), 0)
        at = centre + self._moved(program, centre, step)

        margin = margins(program(at), step.y, self.points.classes)
        losses = margin.new_zeros(len(self.ways))
        for way, models in self._of_way.items():
            of_way = LOSSES[way](margin[models], step.progress).mean(1)
            losses = losses.index_add(0, models, of_way)

        self.grow((margin.detach() <= 0).double().mean(1))
        return losses

    def _moved(self, program: Program, centre: Tensor, step: Step) -> Tensor:
        """Return offsets (M, B, …) after one more step against the model, and keep them."""
        r = self.radius.to(centre).reshape(-1, *[1] * (centre.dim() - 1))
        ball = L2Ball(r, None)

        goes_on = (step.rows + step.epoch) % RESTART_EVERY != 0
        offset = self.offset[:, step.rows] * goes_on.reshape(-1, *[1] * (centre.dim() - 2))
        at = ball.inside(centre + offset, centre).requires_grad_()
        margin = margins(program(at), step.y, self.points.classes)
        (gradient,) = torch.autograd.grad(margin.sum(), at)
        moved = ball.inside(at.detach() - r * ball.ascent(gradient), centre) - centre
        self.offset[:, step.rows] = moved
        return moved


class FollowingError(BallObjective):
    """Balls that grow while fewer points are lost than the budget allows, and shrink while more
    are. So a training ends near the largest radius that its way can fit."""

    def __init__(
        self, points: Points, ways: Sequence[str], least: Tensor, most: Tensor, steps: int
    ):
        """least: (M,), where the balls begin and which they never fall below. most: (M,), which
        they never exceed."""
        super().__init__(points, ways, least)
        self.least = least
        self.most = most
        self.budget = points.budget.repeat_interleave(len(ways) // len(points.budget)).double()
        self.rate = math.log(10**DECADES) / (steps / 3)

    def grow(self, robust_error: Tensor) -> None:
        room = ((self.budget - robust_error) / self.budget).clamp(-1, 1)
        followed = self.radius * torch.exp(self.rate * room)
        self.radius = torch.maximum(torch.minimum(followed, self.most), self.least)


class Growing(BallObjective):
    """Balls that grow in half of the training from a radius that is fitted to one that is aimed at.
    From a cold start nets jump to the constant answer."""

    def __init__(self, points: Points, ways: Sequence[str], first: Tensor, aim: Tensor):
        super().__init__(points, ways, first)
        self.first = first
        self.aim = aim

    def losses(self, program: Program, step: Step) -> Tensor:
        self.radius = self.first + (self.aim - self.first) * min(1.0, 2 * step.progress)
        # These trainings begin where one has ended, so the ramp is whole from the first step on.
        return super().losses(program, step._replace(progress=1.0))
