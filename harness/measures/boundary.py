"""Class stability: the mean l2 distance from held-out points to the decision boundary, two ways.

S(f) = E min(distance, cap) is the quantity that the classification form of the law bounds (von Berg
et al. 2026, arXiv 2603.02806). *First order* divides the margin by its gradient's norm. *Attack*
searches for the nearest point with another label: whatever it finds is an upper estimate of the
distance, never a lower one.
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
"""First step's length over the current radius; falls to SEARCH_END of it along a cosine."""
SEARCH_SHRINK = 0.2
"""First relative change of the radius per step; falls along the same cosine."""
SEARCH_END = 0.03
SHORTENINGS, COARSE_SHORTENINGS = 7, 4
OVERSHOT = 3e-5
"""How far beyond the estimated boundary a change is tried, over its distance."""
LENGTHENED = (1e-6, 1e-5, 1e-4, 1e-3)
"""By how much a change is lengthened, in turn, where rounding took it back; in data units, in
which inputs are rounded by about 1e-7."""
SHORTENED_STARTS = 8
"""Shortened towards each point: its nearest neighbours that carry another label."""
WANDER_DIRECTIONS = 8
"""Random directions that a point without a gradient tries in turn, unless it knows where another
label lies."""


class Stability(NamedTuple):
    """Distances in data units. `censored` is the share of points beyond the cap (or without a
    gradient)."""

    mean: float
    se: float
    median: float
    censored: float


def stability(distance: Tensor, cap: float, leave_out: bool) -> Stability:
    """Distances (B,) summarised, each counted as at most `cap`; infinite ones as the cap, or
    left out of the mean."""
    capped = distance.clamp(max=cap)
    averaged = capped[distance.isfinite()] if leave_out else capped
    censored, median = float((distance >= cap).float().mean()), float(capped.median())
    mean = float(averaged.mean()) if len(averaged) else math.nan
    se = float(averaged.std()) / math.sqrt(len(averaged)) if len(averaged) > 1 else math.nan
    return Stability(mean, se, median, censored)


class Nearest(NamedTuple):
    """`change`: per point the nearest input found that the model labels otherwise, NaN where none
    was found, like x.

    `ends` (2, B): the distances at which the search ended from its two beginnings; where they are
    far apart, it is not to be trusted.
    """

    change: Tensor
    ends: Tensor


@torch.no_grad()
def nearest_change(
    model: Model,
    x: Tensor,
    starts: Tensor,
    classes: int | None,
    wander: Tensor,
    at_x: Margins | None = None,
) -> Nearest:
    """The nearest label change around each x (B, *input_shape).

    `starts` (G, N, *input_shape) are inputs to begin from: N for each of G equal runs of points.

    The nearest of three: the best of the SHORTENED_STARTS nearest `starts` with another label, each
    shortened towards x, and what `_search` finds from x and from the direction of that one. Against
    exact distances the mean is 0.4 % too large on random small ReLU nets and 1.0 % on trained ones
    (tests/measures/test_boundary.py). DeepFool, tried first, got stuck on a fifth of the points of
    narrow nets and overstated their mean threefold; tangent projections (FAB) after this search
    improved nothing (LOG.md). `wander` (R, *x.shape) holds random directions, taken in turn by
    points without a gradient; `at_x` the margins of the predicted labels at x, where they are
    known.
    """
    label = predicted(model(x), classes)

    def margin(z: Tensor) -> Tensor:
        return margin_values(model(z), label, classes).amin(dim=1)

    if at_x is None:
        with torch.enable_grad():
            at_x = margins(model, x, label, classes)
    here = at_x.values.amin(dim=1)
    best = torch.full_like(x, torch.nan)
    for other in _other_points(model, x, label, starts, classes):
        best = nearer(x, shortened(x, other, here, margin, COARSE_SHORTENINGS), best, l2_distance)
    best = shortened(x, best, here, margin, SHORTENINGS)
    ends = []
    for towards in (x, torch.where(best.isnan(), x, best)):
        found = shortened(
            x, _search(model, x, towards, at_x, label, classes, wander), here, margin, SHORTENINGS
        )
        ends.append(l2_distance(x, found))
        best = nearer(x, found, best, l2_distance)
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
    """Decoupled direction and norm (Rony et al. 2019, arXiv 1811.09600): gradient steps on the
    sphere around x whose radius shrinks while the label is changed and grows while it is not. NaN
    where it never was.

    Differs from the paper in that it descends the margin to the rival whose boundary is nearest
    (margins over their gradient norms at x), begins in the direction of `towards` at three times
    the first-order distance, and scales its step with the radius: distances across a grid of models
    span two decades.
    """
    norms = slopes(at_x)
    first, steep = linear_distance(at_x, norms), steepness(at_x, norms, classes or 1)
    radius = torch.where(first.isfinite(), 3 * first, 0.1).clamp(0.02, 0.5)
    offset = towards - x
    offset.mul_(_factor(offset, radius))
    aimless = (towards == x).flatten(1).all(dim=1)
    best, nearest = torch.full_like(x, torch.nan), torch.full_like(radius, torch.inf)
    room = torch.empty_like(x)  # new memory for every step takes as long as the step
    for k in range(SEARCH_STEPS):
        schedule = SEARCH_END + (1 - SEARCH_END) * (1 + math.cos(math.pi * k / SEARCH_STEPS)) / 2
        at = torch.add(x, offset, out=room).detach().requires_grad_(True)
        with torch.enable_grad():
            margin = (margin_values(model(at), label, classes) / steep).amin(dim=1)
            gradient = torch.autograd.grad(margin.sum(), at)[0]
        hit = margin < 0
        better = hit & (radius < nearest)  # |offset| is the radius
        best[better], nearest = at.detach()[better], torch.where(better, radius, nearest)
        steepness_here = gradient.flatten(1).norm(dim=1)
        flat = steepness_here == 0
        if bool(flat.any()):
            away = torch.where(column(aimless, x), wander[k % len(wander)], x - towards)
            gradient = torch.where(column(flat, x), away, gradient)
            steepness_here = gradient.flatten(1).norm(dim=1)
        offset.addcmul_(gradient, column(-SEARCH_STEP * schedule * radius / steepness_here, x))
        radius = radius * torch.where(
            hit, 1 - SEARCH_SHRINK * schedule, 1 + SEARCH_SHRINK * schedule
        )
        offset.mul_(_factor(offset, radius))
    return best


@torch.no_grad()
def changing(model: Model, x: Tensor, change: Tensor, classes: int | None) -> Tensor:
    """Inputs (B, *input_shape) found with the same model computed in another order, lengthened
    from x where rounding took their other label back; NaN where the last of LENGTHENED is not
    enough."""
    label = predicted(model(x), classes)
    for extra in (*LENGTHENED, math.nan):
        stands = (predicted(model(change), classes) == label) & change.flatten(1).isfinite().all(
            dim=1
        )
        if not bool(stands.any()):
            break
        longer = torch.lerp(x, change, column(1 + extra / l2_distance(x, change), x))
        change = torch.where(column(stands, x), longer, change)
    return change


def _other_points(
    model: Model, x: Tensor, label: Tensor, starts: Tensor, classes: int | None
) -> list[Tensor]:
    """The nearest of `starts` that carry another label, nearest first; NaN where there are no
    more."""
    (groups, per_group), inputs = starts.shape[:2], starts.flatten(0, 1)
    other = predicted(model(inputs), classes).reshape(groups, 1, -1) != label.reshape(groups, -1, 1)
    distance = torch.cdist(x.reshape(groups, len(x) // groups, -1), starts.flatten(2)).masked_fill(
        ~other, torch.inf
    )
    found = distance.topk(min(SHORTENED_STARTS, per_group), dim=2, largest=False)
    index = found.indices + per_group * torch.arange(groups, device=x.device)[:, None, None]
    ranked = zip(found.values.flatten(0, 1).T, index.flatten(0, 1).T, strict=True)
    return [torch.where(column(length.isfinite(), x), inputs[i], torch.nan) for length, i in ranked]


def shortened(
    x: Tensor, far: Tensor, here: Tensor, margin: Callable[[Tensor], Tensor], steps: int
) -> Tensor:
    """Move label changes `far` along the segment to x, up to where the label is about to stand
    again; the result still changes it. NaN stays NaN.

    Regula falsi in the Illinois form (Dowell & Jarratt 1971): networks of ReLUs are linear in
    pieces along a segment, so once both ends lie in the boundary's own piece the estimate is exact.
    It is tried OVERSHOT beyond, where the label has changed. `here` (B,) holds the margins at x,
    positive; `margin` gives those at other inputs, negative where the label is changed.
    """
    low, high = x.new_zeros(len(x)), x.new_ones(len(x))  # positions on the segment from x
    at_low, at_high = here, margin(far)
    # whether the step before was a hit: equal to nothing at first
    before = torch.full_like(low, torch.nan)
    for _ in range(steps):
        estimate = low + (high - low) * at_low / (at_low - at_high)
        middle = torch.minimum(estimate + OVERSHOT * high, (estimate + high) / 2)
        value = margin(torch.lerp(x, far, column(middle, x)))
        hit = value < 0
        again = hit == before
        at_low = torch.where(hit, torch.where(again, at_low / 2, at_low), value)
        at_high = torch.where(hit, value, torch.where(again, at_high / 2, at_high))
        low, high, before = torch.where(hit, low, middle), torch.where(hit, middle, high), hit
    return torch.lerp(x, far, column(high, x))


def nearer(x: Tensor, a: Tensor, b: Tensor, distance: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Per point the one of a and b nearer to x; NaN counts as infinitely far."""
    return torch.where(column(distance(x, a) < distance(x, b), x), a, b)


def l2_distance(x: Tensor, z: Tensor) -> Tensor:
    """(B,) ‖z − x‖, +inf where z is NaN."""
    return (z - x).flatten(1).norm(dim=1).nan_to_num(nan=math.inf)


def _factor(v: Tensor, length: Tensor) -> Tensor:
    """What each v is to be multiplied with to have the given length, (B, 1, …); a zero vector
    stays zero."""
    return column(length / v.flatten(1).norm(dim=1).clamp(min=1e-30), v)


def column(v: Tensor, like: Tensor) -> Tensor:
    """(B,) as (B, 1, …), to multiply into `like`."""
    return v.reshape(-1, *[1] * (like.dim() - 1))
