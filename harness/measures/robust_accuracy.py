"""Measure adversarial accuracy at every radius from one search per norm, and look for signs that a
search was fooled.

    change = nearest_linf_change(model, x, towards=nearest_change(...), classes=10, box=(0.0, 1.0))
    robust_accuracy(right, linf_distance(x, change), radii=(0.1, 0.2, 0.3)).accuracy

A minimum-norm attack finds one distance per point; the accuracy on a ball of radius r is the share
of points that are classified correctly and whose distance exceeds r. No search proves that nothing
is nearer, so the accuracy is an upper estimate. tests/benchmarks/robust_accuracy.py measures how
far it lies from AutoAttack's.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from harness.measures.boundary import shortened
from harness.measures.distances import column, nearer
from harness.measures.gradients import (
    Margins,
    linear_distance,
    margin_values,
    margins,
    slopes,
    steepness,
)
from harness.training.evaluation import predicted
from harness.training.stack import Model

L2_RADII = (0.01, 0.02, 0.04, 0.08, 0.12, 0.16, 0.24, 0.32)
"""In data units."""
LINF_RADII = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
"""In the inputs' own numbers where they lie in a box of length 1, as pixels do; scaled with the
box, or without one with the inputs' root mean square (data unit over √d)."""

LINF_STEPS = 16
"""Steps from each of two starts. On the benchmark's networks the mean distance is 0.06 % smaller
with 20 steps and 0.18 % with 40; robust accuracies are at most 0.05 points lower with 20.
"""
LINF_STEP = 1.0
"""The first step's length over the current radius; falls to LINF_END of that along a cosine."""
LINF_SHRINK = 0.2
"""First relative change of the radius per step; falls along the same cosine."""
LINF_END = 0.03
LINF_MOMENTUM = 0.9
"""Share of earlier steps that the last steps keep; grows from 0 along the same cosine."""
LINF_SHORTENINGS = 6
LEAST_RADIUS = 0.005
MOST_RADIUS = 0.25
"""Limits of the first radius, over the length of the box."""

FLAT = 0.05
"""Share of points without a gradient from which on a gradient-based search is suspect."""


class RobustAccuracy(NamedTuple):
    """Share of points that are classified correctly and whose nearest change found lies beyond each
    radius, with binomial standard errors."""

    accuracy: list[float]
    se: list[float]


def robust_accuracy(right: Tensor, distance: Tensor, radii: Sequence[float]) -> RobustAccuracy:
    """Return the accuracy at each radius.

    right (B,) bool: the point itself is classified correctly. distance (B,): to the nearest change
    found, +inf where none was found.
    """
    accuracy = [float((right & (distance > radius)).float().mean()) for radius in radii]
    return RobustAccuracy(accuracy, [math.sqrt(a * (1 - a) / len(right)) for a in accuracy])


def linf_distance(x: Tensor, z: Tensor) -> Tensor:
    """Return the largest |z − x| over an input's numbers, (B,), +inf where z is NaN."""
    return (z - x).flatten(1).abs().amax(dim=1).nan_to_num(nan=math.inf)


@torch.no_grad()
def nearest_linf_change(
    model: Model,
    x: Tensor,
    towards: Tensor,
    classes: int | None,
    box: tuple[float, float] | None,
    at_x: Margins | None = None,
) -> Tensor:
    """Return for each x (B, *input_shape) the nearest input found in ℓ∞ to which the model gives
    another label; NaN where none was found.

    The search takes sign-gradient steps with momentum inside a ball around x. The ball's radius
    shrinks while the label is changed and grows while it is not: the ℓ∞ form of decoupled direction
    and norm, as in Pintor et al. 2021 (arXiv 2102.12827). There are two starts. From x itself, the
    search descends the margin to the rival whose boundary is nearest. From `towards`, the ℓ2 change
    found before (NaN: x again), it descends the margin over the lead on the third class, the DLR
    loss of Croce & Hein 2020 (arXiv 2003.01690). Inputs stay in `box`, if there is one. `at_x`: the
    margins of the predicted labels at x, if they are known.
    """
    label = predicted(model(x), classes)
    if at_x is None:
        with torch.enable_grad():
            at_x = margins(model, x, label, classes)
    low, high = box or (-math.inf, math.inf)
    here = at_x.values.amin(dim=1)
    norms = slopes(at_x, order=1)
    steep = steepness(at_x, norms, classes or 1)

    def margin(z: Tensor) -> Tensor:
        return margin_values(model(z), label, classes).amin(dim=1)

    def nearest_margin(output: Tensor) -> Tensor:
        return (margin_values(output, label, classes) / steep).amin(dim=1)

    def margin_over_lead(output: Tensor) -> Tensor:
        smallest = margin_values(output, label, classes).amin(dim=1)
        if output.shape[1] < 3:
            return smallest
        top = output.topk(3, dim=1).values
        return smallest / (top[:, 0] - top[:, 2]).clamp(min=1e-12)

    known = torch.where(towards.isnan(), x, towards).clamp(low, high)
    best = torch.where(column(margin(known) < 0, x), known, torch.nan)
    length = linf_distance(x, known)
    # the length of the box, or of a typical number of the input
    if box:
        span = torch.full_like(length, high - low)
    else:
        span = 3 * x.flatten(1).square().mean(dim=1).sqrt().clamp(min=1e-12)

    radius = torch.where(length > 0, 0.7 * length, MOST_RADIUS * span)
    change = _search(model, x, known, radius, margin_over_lead, towards, low, high)
    best = nearer(x, change, best, linf_distance)

    first = 2 * linear_distance(at_x, norms)
    radius = torch.minimum(torch.maximum(first, LEAST_RADIUS * span), MOST_RADIUS * span)
    change = _search(model, x, x, radius, nearest_margin, towards, low, high)
    best = nearer(x, change, best, linf_distance)

    return shortened(x, best, here, margin, LINF_SHORTENINGS)


def _search(
    model: Model,
    x: Tensor,
    begin: Tensor,
    radius: Tensor,
    loss: Callable[[Tensor], Tensor],
    towards: Tensor,
    low: float,
    high: float,
) -> Tensor:
    """Search from `begin` in a ball of `radius` (B,) around x. Return the nearest change met, NaN
    where there was none."""
    best = torch.full_like(x, torch.nan)
    nearest = torch.full_like(radius, torch.inf)
    velocity = torch.zeros_like(x)
    offset = begin - x
    room = torch.empty_like(x)
    sign = torch.empty_like(x)
    for k in range(LINF_STEPS):
        schedule = LINF_END + (1 - LINF_END) * (1 + math.cos(math.pi * k / LINF_STEPS)) / 2
        bound = column(radius, x)
        # several times as fast as clamp with tensors
        torch.minimum(torch.maximum(offset, -bound, out=offset), bound, out=offset)
        at = torch.add(x, offset, out=room).clamp_(low, high).detach().requires_grad_(True)
        with torch.enable_grad():
            value = loss(model(at))
            gradient = torch.autograd.grad(value.sum(), at)[0]
        at = at.detach()

        hit = value < 0
        better = hit & (radius < nearest)
        best[better] = at[better]
        nearest = torch.where(better, radius, nearest)

        size = gradient.flatten(1).norm(dim=1)
        flat = size == 0
        if bool(flat.any()):  # towards the other label that is known
            gradient = torch.where(column(flat, x), (x - towards).nan_to_num(0.0), gradient)
            size = gradient.flatten(1).norm(dim=1)

        velocity.mul_(LINF_MOMENTUM * (1 - schedule))
        velocity.addcdiv_(gradient, column(size.clamp(min=1e-30), x))
        torch.sub(at, x, out=offset)
        torch.sign(velocity, out=sign)
        offset.addcmul_(sign, column(-LINF_STEP * schedule * radius, x))
        shrink = 1 - LINF_SHRINK * schedule
        grow = 1 + LINF_SHRINK * schedule
        radius = radius * torch.where(hit, shrink, grow)
    return best


def violations(certified: Tensor, distance: Tensor) -> int:
    """Count the points (B,) at which a change was found within the certified radius, beyond
    rounding. There are none, unless an instrument is wrong."""
    return int((certified > distance * (1 + 1e-4) + 1e-6).sum())


def warnings(
    margins: Margins, distance: Tensor, certified: Tensor | None, noise: Tensor
) -> list[str]:
    """Return the signs that one model's gradients are masked or that the ℓ2 search failed (Athalye
    et al. 2018, arXiv 1802.00420, section 3.1).

    margins: of the predicted labels at the points; distance (B,): of the nearest change that the
    search found; certified (B,): radii within which no label changes. noise (B,): length of the
    shortest Gaussian noise tried that changed the label, +inf where none did.
    """
    flat = float((margins.gradients.flatten(1) == 0).all(dim=1).float().mean())
    missed = int(distance.isinf().sum())
    beaten = int((noise < distance * (1 - 1e-4)).sum())
    beyond = violations(certified, distance) if certified is not None else 0
    signs = {
        f"no gradient at {flat:.0%} of the points": flat >= FLAT,
        f"no label change found for {missed} points": missed > 0,
        f"random noise changed the label nearer than the search at {beaten} points": beaten > 0,
        f"the search went below a certified distance at {beyond} points": beyond > 0,
    }
    return [sentence for sentence, holds in signs.items() if holds]
