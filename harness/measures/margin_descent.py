"""Descend a margin from a point until the label changes, and keep the change short: the gradient
search behind `boundary.py`."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from harness.measures.distances import column, factor
from harness.measures.gradients import margin_values
from harness.training.stack import Model

SEARCH_STEP = 0.6
"""The first step's length over the current radius; falls to SEARCH_END of that along a cosine."""
SEARCH_SHRINK = 0.2
"""First relative change of the radius per step; falls along the same cosine."""
SEARCH_END = 0.03
FIRST_RADIUS = 3.0
"""The first radius over the first-order distance."""
WANDER_DIRECTIONS = 8
"""Number of random directions. A point without a gradient tries them in turn, unless another label
is known nearby: then it moves towards that."""


class Search(NamedTuple):
    """What every run of the search knows about its points (B,)."""

    model: Model
    x: Tensor
    label: Tensor
    steep: Tensor
    """(B, R) what margins are divided by."""
    first: Tensor
    """(B,) first-order distances, +inf without a gradient."""
    wander: Tensor
    classes: int | None

    def margins(self, z: Tensor) -> Tensor:
        """Return the margins (B, R) at other inputs, negative where the label is changed."""
        return margin_values(self.model(z), self.label, self.classes)

    def margin(self, z: Tensor) -> Tensor:
        """Return the smallest margins (B,) at other inputs."""
        return self.margins(z).amin(dim=1)

    def of(self, rows: Tensor) -> "Search":
        """Return the search for some of the points, as many of each model."""
        return self._replace(
            x=self.x[rows],
            label=self.label[rows],
            steep=self.steep[rows],
            first=self.first[rows],
            wander=self.wander[:, rows],
        )


def descend(
    search: Search,
    towards: Tensor,
    rival: Tensor | None,
    steps: int,
    radius: Tensor | None = None,
) -> Tensor:
    """Search by decoupled direction and norm (Rony et al. 2019, arXiv 1811.09600): gradient steps
    on the sphere around x whose radius shrinks while the label is changed and grows while it is
    not. NaN where the label never changed.

    Unlike the paper, the search descends the margin to `rival` (B,), or without one to the rival
    whose boundary is nearest (margins over their gradient norms at x). It begins in the direction
    of `towards` at `radius` (B,), or without one at FIRST_RADIUS times the first-order distance,
    and scales its step with the radius: distances across a grid of models span two decades.
    """
    x = search.x
    first = search.first
    if radius is None:
        radius = torch.where(first.isfinite(), FIRST_RADIUS * first, 0.1).clamp(0.02, 0.5)
    offset = towards - x
    offset.mul_(factor(offset, radius))
    aimless = (towards == x).flatten(1).all(dim=1)

    best = torch.full_like(x, torch.nan)
    nearest = torch.full_like(radius, torch.inf)
    room = torch.empty_like(x)  # new memory for every step takes as long as the step
    for k in range(steps):
        schedule = SEARCH_END + (1 - SEARCH_END) * (1 + math.cos(math.pi * k / steps)) / 2
        at = torch.add(x, offset, out=room).detach().requires_grad_(True)
        with torch.enable_grad():
            margins = search.margins(at) / search.steep
            smallest = margins.amin(dim=1)
            aim = smallest if rival is None else margins.gather(1, rival[:, None])
            gradient = torch.autograd.grad(aim.sum(), at)[0]

        hit = smallest.detach() < 0
        better = hit & (radius < nearest)  # |offset| is the radius
        best[better] = at.detach()[better]
        nearest = torch.where(better, radius, nearest)

        size = gradient.flatten(1).norm(dim=1)
        flat = size == 0
        if bool(flat.any()):
            wander = search.wander[k % len(search.wander)]
            away = torch.where(column(aimless, x), wander, x - towards)
            gradient = torch.where(column(flat, x), away, gradient)
            size = gradient.flatten(1).norm(dim=1)

        offset.addcmul_(gradient, column(-SEARCH_STEP * schedule * radius / size, x))
        shrink = 1 - SEARCH_SHRINK * schedule
        grow = 1 + SEARCH_SHRINK * schedule
        radius = radius * torch.where(hit, shrink, grow)
        offset.mul_(factor(offset, radius))
    return best
