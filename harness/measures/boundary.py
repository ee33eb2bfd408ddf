"""Estimate class stability, the mean ℓ2 distance from held-out points to the decision boundary, in
two ways.

S(f) = E min(distance, cap) is the quantity that the classification form of the law bounds (von Berg
et al. 2026, arXiv 2603.02806). *First order* divides the margin by its gradient's norm. *Attack*
searches for the nearest point with another label. Its result is an upper estimate of the distance,
never a lower one.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

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

SEARCH_STEPS = 32
SEARCH_STEP = 0.6
"""The first step's length over the current radius; falls to SEARCH_END of that along a cosine."""
SEARCH_SHRINK = 0.2
"""First relative change of the radius per step; falls along the same cosine."""
SEARCH_END = 0.03
SHORTENINGS = 7
COARSE_SHORTENINGS = 4
"""Evaluations per shortening: of the best change, and of each candidate for it."""
OVERSHOT = 3e-5
"""Overshoot at which a change is tried beyond the estimated boundary, as a share of its
distance."""
LENGTHENED = (1e-6, 1e-5, 1e-4, 1e-3)
"""Lengths by which a change is extended, in turn, where rounding undid it. They are in data units,
in which inputs are rounded by about 1e-7."""
SHORTENED_STARTS = 8
"""Number of nearest neighbours with another label that are shortened towards each point."""
WANDER_DIRECTIONS = 8
"""Number of random directions that a point without a gradient tries in turn, unless it knows where
another label lies."""


class Stability(NamedTuple):
    """Distances in data units. `censored` is the share of points beyond the cap (or without a
    gradient)."""

    mean: float
    se: float
    median: float
    censored: float


def stability(distance: Tensor, cap: float, leave_out: bool) -> Stability:
    """Summarise distances (B,), each counted as at most `cap`. Infinite distances count as the cap,
    or with `leave_out` are left out of the mean."""
    capped = distance.clamp(max=cap)
    averaged = capped[distance.isfinite()] if leave_out else capped
    return Stability(
        mean=float(averaged.mean()) if len(averaged) else math.nan,
        se=float(averaged.std()) / math.sqrt(len(averaged)) if len(averaged) > 1 else math.nan,
        median=float(capped.median()),
        censored=float((distance >= cap).float().mean()),
    )


class Nearest(NamedTuple):
    """The nearest inputs found to which the model gives another label."""

    change: Tensor
    """Inputs of the shape of x, NaN where none was found."""
    ends: Tensor
    """(2, B) distances at which the search ended from its two starts. Where they are far apart, the
    search cannot be trusted."""


@torch.no_grad()
def nearest_change(
    model: Model,
    x: Tensor,
    starts: Tensor,
    classes: int | None,
    wander: Tensor,
    at_x: Margins | None = None,
) -> Nearest:
    """Return the nearest label change around each x (B, *input_shape).

    `starts` (G, N, *input_shape) are inputs to start from: N for each of G equally long runs of
    points. `wander` (R, *x.shape) holds random directions, taken in turn by points without a
    gradient. `at_x` are the margins of the predicted labels at x, if they are known.

    The result is the nearest of three: the best of the SHORTENED_STARTS nearest `starts` with
    another label, each shortened towards x, and what `_search` finds from x and from the direction
    of that best one. Against exact distances the mean is 0.4 % too large on random small ReLU nets
    and 1.0 % on trained ones (tests/measures/test_boundary_exactly.py). DeepFool, tried first, got
    stuck on a fifth of the points of narrow nets and overstated their mean threefold; tangent
    projections (FAB) after this search improved nothing (LOG.md).
    """
    label = predicted(model(x), classes)

    def margin(z: Tensor) -> Tensor:
        return margin_values(model(z), label, classes).amin(dim=1)

    if at_x is None:
        with torch.enable_grad():
            at_x = margins(model, x, label, classes)
    here = at_x.values.amin(dim=1)

    best = torch.full_like(x, torch.nan)
    for start in _nearest_starts(model, x, label, starts, classes):
        change = shortened(x, start, here, margin, COARSE_SHORTENINGS)
        best = nearer(x, change, best, l2_distance)
    best = shortened(x, best, here, margin, SHORTENINGS)

    ends = []
    for towards in (x, torch.where(best.isnan(), x, best)):
        change = _search(model, x, towards, at_x, label, classes, wander)
        change = shortened(x, change, here, margin, SHORTENINGS)
        ends.append(l2_distance(x, change))
        best = nearer(x, change, best, l2_distance)
    return Nearest(best, torch.stack(ends))


def _search(
    model: Model,
    x: Tensor,
    towards: Tensor,
    at_x: Margins,
    label: Tensor,
    classes: int | None,
    wander: Tensor,
) -> Tensor:
    """Search by decoupled direction and norm (Rony et al. 2019, arXiv 1811.09600): gradient steps
    on the sphere around x whose radius shrinks while the label is changed and grows while it is
    not. NaN where the label never changed.

    Unlike the paper, the search descends the margin to the rival whose boundary is nearest (margins
    over their gradient norms at x), begins in the direction of `towards` at three times the
    first-order distance, and scales its step with the radius: distances across a grid of models
    span two decades.
    """
    norms = slopes(at_x)
    first = linear_distance(at_x, norms)
    steep = steepness(at_x, norms, classes or 1)
    radius = torch.where(first.isfinite(), 3 * first, 0.1).clamp(0.02, 0.5)
    offset = towards - x
    offset.mul_(_factor(offset, radius))
    aimless = (towards == x).flatten(1).all(dim=1)

    best = torch.full_like(x, torch.nan)
    nearest = torch.full_like(radius, torch.inf)
    room = torch.empty_like(x)  # new memory for every step takes as long as the step
    for k in range(SEARCH_STEPS):
        schedule = SEARCH_END + (1 - SEARCH_END) * (1 + math.cos(math.pi * k / SEARCH_STEPS)) / 2
        at = torch.add(x, offset, out=room).detach().requires_grad_(True)
        with torch.enable_grad():
            margin = (margin_values(model(at), label, classes) / steep).amin(dim=1)
            gradient = torch.autograd.grad(margin.sum(), at)[0]

        hit = margin < 0
        better = hit & (radius < nearest)  # |offset| is the radius
        best[better] = at.detach()[better]
        nearest = torch.where(better, radius, nearest)

        size = gradient.flatten(1).norm(dim=1)
        flat = size == 0
        if bool(flat.any()):
            away = torch.where(column(aimless, x), wander[k % len(wander)], x - towards)
            gradient = torch.where(column(flat, x), away, gradient)
            size = gradient.flatten(1).norm(dim=1)

        offset.addcmul_(gradient, column(-SEARCH_STEP * schedule * radius / size, x))
        shrink = 1 - SEARCH_SHRINK * schedule
        grow = 1 + SEARCH_SHRINK * schedule
        radius = radius * torch.where(hit, shrink, grow)
        offset.mul_(_factor(offset, radius))
    return best


@torch.no_grad()
def changing(model: Model, x: Tensor, change: Tensor, classes: int | None) -> Tensor:
    """Lengthen label changes (B, *input_shape) from x where rounding undid them.

    The changes were found with the same model, computed in another order. The result is NaN where
    even the last of LENGTHENED is not enough.
    """
    label = predicted(model(x), classes)
    for extra in (*LENGTHENED, math.nan):
        unchanged = predicted(model(change), classes) == label
        taken_back = unchanged & change.flatten(1).isfinite().all(dim=1)
        if not bool(taken_back.any()):
            break
        longer = torch.lerp(x, change, column(1 + extra / l2_distance(x, change), x))
        change = torch.where(column(taken_back, x), longer, change)
    return change


def _nearest_starts(
    model: Model, x: Tensor, label: Tensor, starts: Tensor, classes: int | None
) -> list[Tensor]:
    """Return the nearest of `starts` that carry another label, nearest first, each of the shape of
    x; NaN where there are no more."""
    groups, per_group = starts.shape[:2]
    inputs = starts.flatten(0, 1)
    start_label = predicted(model(inputs), classes).reshape(groups, 1, -1)
    other = start_label != label.reshape(groups, -1, 1)

    by_group = x.reshape(groups, len(x) // groups, -1)
    distance = torch.cdist(by_group, starts.flatten(2)).masked_fill(~other, torch.inf)
    nearest = distance.topk(min(SHORTENED_STARTS, per_group), dim=2, largest=False)

    first_of_group = per_group * torch.arange(groups, device=x.device)[:, None, None]
    lengths = nearest.values.flatten(0, 1).T
    indices = (nearest.indices + first_of_group).flatten(0, 1).T
    return [
        torch.where(column(length.isfinite(), x), inputs[index], torch.nan)
        for length, index in zip(lengths, indices, strict=True)
    ]


def shortened(
    x: Tensor, far: Tensor, here: Tensor, margin: Callable[[Tensor], Tensor], steps: int
) -> Tensor:
    """Move label changes `far` along the segment to x, as far as the label stays changed. NaN stays
    NaN.

    Regula falsi in the Illinois form (Dowell & Jarratt 1971): ReLU networks are piecewise linear
    along a segment, so once both ends lie in the boundary's own piece the estimate is exact.
    Changes are tried OVERSHOT beyond the estimate, where the label has changed. `here` (B,) holds
    the margins at x, positive; `margin` gives the margins at other inputs, negative where the label
    is changed.
    """
    low = x.new_zeros(len(x))  # positions on the segment from x
    high = x.new_ones(len(x))
    at_low = here
    at_high = margin(far)
    last_hit = torch.full_like(low, torch.nan)  # equal to nothing at first
    for _ in range(steps):
        estimate = low + (high - low) * at_low / (at_low - at_high)
        middle = torch.minimum(estimate + OVERSHOT * high, (estimate + high) / 2)
        value = margin(torch.lerp(x, far, column(middle, x)))

        hit = value < 0
        again = hit == last_hit
        at_low = torch.where(hit, torch.where(again, at_low / 2, at_low), value)
        at_high = torch.where(hit, value, torch.where(again, at_high / 2, at_high))
        low = torch.where(hit, low, middle)
        high = torch.where(hit, middle, high)
        last_hit = hit
    return torch.lerp(x, far, column(high, x))


def nearer(x: Tensor, a: Tensor, b: Tensor, distance: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return for each point the one of a and b nearer to x; NaN counts as infinitely far."""
    return torch.where(column(distance(x, a) < distance(x, b), x), a, b)


def l2_distance(x: Tensor, z: Tensor) -> Tensor:
    """Return ‖z − x‖ (B,), +inf where z is NaN."""
    return (z - x).flatten(1).norm(dim=1).nan_to_num(nan=math.inf)


def _factor(v: Tensor, length: Tensor) -> Tensor:
    """Return the factors (B, 1, …) that give each v its length; a zero vector stays zero."""
    return column(length / v.flatten(1).norm(dim=1).clamp(min=1e-30), v)


def column(v: Tensor, like: Tensor) -> Tensor:
    """Return (B,) as (B, 1, …), to multiply into `like`."""
    return v.reshape(-1, *[1] * (like.dim() - 1))
