"""The share of training points that a model gets wrong somewhere within a radius, and the radius at
which that share reaches a budget.

Both are attacks' findings: an error found is a lower bound on the robust error, so a radius found
is an upper bound on the model's own.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from harness.training.balls import L2Ball
from harness.training.margins import margins
from harness.training.program import Program

ROUNDING = 1e-9
"""n·budget counts as a whole number when it is this near to one."""

LAST_STEP = 0.02
"""The attack's last step over the radius; the first is the whole radius."""


class Points(NamedTuple):
    """Training points of G groups of models, and how many of them may be lost."""

    x: Tensor
    """(G, n, *input_shape), in the inputs' own numbers."""
    y: Tensor
    """(G, n)"""
    classes: int | None
    budget: Tensor
    """(G,), the share of points that may be lost: R*/2."""
    together: int
    """Points of a group that go through the models at once."""

    def of(self, groups: Sequence[int]) -> "Points":
        """Return the points of some of the groups."""
        index = torch.tensor(list(groups), device=self.x.device)
        return self._replace(x=self.x[index], y=self.y[index], budget=self.budget[index])

    @property
    def lost_at_most(self) -> Tensor:
        """Points of each group that may be lost, (G,)."""
        return (self.budget * self.x.shape[1] + ROUNDING).floor()


class Attack(NamedTuple):
    """Gradient steps on the margin, from random points of the ball."""

    steps: int
    starts: int


def losing_distances(
    program: Program,
    points: Points,
    radius: Tensor,
    attack: Attack,
    draws: Sequence[torch.Generator],
) -> Tensor:
    """Return the shortest distance (M, n) from each training point to a wrong answer that the
    attack found within each model's radius (M,): 0 where the answer is wrong at the point itself,
    infinite where none was found.

    draws: one CPU generator per group, for the attack's starts, which all models of a group share.
    """
    each = len(radius) // len(points.x)
    parts = []
    for begin in range(0, points.x.shape[1], points.together):
        part = slice(begin, begin + points.together)
        x = points.x[:, part]
        y = points.y[:, part].repeat_interleave(each, 0)
        nearest = torch.full(y.shape, torch.inf, device=x.device)
        for _ in range(attack.starts):
            start = L2Ball(1.0, None).random_offsets(draws, x).repeat_interleave(each, 0)
            centre = x.repeat_interleave(each, 0)
            found = _from(program, centre, y, start, radius, attack.steps, points.classes)
            nearest = torch.minimum(nearest, found)
        parts.append(nearest)
    return torch.cat(parts, 1)


def _from(
    program: Program,
    centre: Tensor,
    y: Tensor,
    start: Tensor,
    radius: Tensor,
    steps: int,
    classes: int | None,
) -> Tensor:
    """Return the distances (M, B) that the attack finds from one point of each ball, given as an
    offset in the unit ball."""
    r = radius.to(centre).reshape(-1, *[1] * (centre.dim() - 1))
    ball = L2Ball(r, None)
    nearest = torch.full(y.shape, torch.inf, device=centre.device)

    def note(at: Tensor, margin: Tensor) -> Tensor:
        # A margin that is no number is no right answer.
        distance = (at - centre).detach().flatten(2).norm(dim=2)
        return torch.where(margin.detach() > 0, nearest, torch.minimum(nearest, distance))

    with torch.no_grad():
        nearest = note(centre, margins(program(centre), y, classes))
    at = centre + r * start
    for step in range(steps):
        at.requires_grad_()
        margin = margins(program(at), y, classes)
        nearest = note(at, margin)
        (gradient,) = torch.autograd.grad(margin.sum(), at)
        length = LAST_STEP + (1 - LAST_STEP) * (1 - step / steps)
        at = ball.inside(at.detach() - length * r * ball.ascent(gradient), centre)
    with torch.no_grad():
        return note(at, margins(program(at), y, classes))


def own_distances(
    program: Program,
    points: Points,
    low: Tensor,
    high: Tensor,
    rounds: int,
    attack: Attack,
    draws: Sequence[torch.Generator],
) -> Tensor:
    """Return the shortest distances (M, n) to wrong answers found on the way of a bisection, for
    the radius at which each model loses its budget, between `low` and `high` (M,)."""
    lost_at_most = points.lost_at_most.repeat_interleave(len(low) // len(points.x))
    distance = losing_distances(program, points, high, attack, draws)
    low, upper = low.clone(), high.clone()
    for _ in range(rounds):
        middle = (low * upper).sqrt()
        found = losing_distances(program, points, middle, attack, draws)
        distance = torch.minimum(distance, found)
        fits = (distance <= middle[:, None]).sum(1) <= lost_at_most
        low = torch.where(fits, middle, low)
        upper = torch.where(fits, upper, middle)
    return distance


def own_radius(
    program: Program,
    points: Points,
    low: Tensor,
    high: Tensor,
    rounds: int,
    attack: Attack,
    draws: Sequence[torch.Generator],
) -> Tensor:
    """Return the largest radius (M,), at most `high`, within which each model loses no more of its
    points than its budget, by all that `own_distances` finds."""
    distance = own_distances(program, points, low, high, rounds, attack, draws)
    lost_at_most = points.lost_at_most.repeat_interleave(len(low) // len(points.x)).long()
    first_too_many = distance.sort(1).values.gather(1, lost_at_most[:, None]).squeeze(1)
    return torch.minimum(first_too_many.to(high), high)
