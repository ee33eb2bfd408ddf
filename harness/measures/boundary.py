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

from harness.measures.distances import column, factor, l2_distance, nearer
from harness.measures.gradients import (
    Margins,
    linear_distance,
    margins,
    slopes,
    steepness,
)
from harness.measures.margin_descent import Search, descend
from harness.training.evaluation import predicted
from harness.training.stack import Model

WORTH = 0.03
"""A model gets a further restart while the last one brought its points nearer, on average, by more
than this part of the standard error of their mean distance. Below it, the draw of the points blurs
the mean far more than the search does (LOG.md)."""


class Effort(NamedTuple):
    """How much `nearest_change` tries. docs/instruments.md shows what it costs and finds."""

    steps: int = 32
    """Gradient steps of each run of the search."""
    rivals: int = 2
    """Rival classes that are aimed at in turn, the nearest first."""
    neighbours: int = 12
    """Nearest neighbours with another label in whose directions each point looks for a change."""
    restarts: int = 8
    """Runs that begin beside the nearest change found so far, at most WANDER_DIRECTIONS."""
    restart_steps: int = 24
    """Gradient steps of each of these runs."""
    worth: float = WORTH
    """When a restart is followed by another; with 0 as long as anything nearer is found."""


DEFAULT = Effort()

IN_REACH = 1.3
"""The search aims at a further rival from every point whose first-order distance to that rival is
below this multiple of the nearest change found so far."""
KNOWN_IN_REACH = 2.0
"""A change of label in the direction of a neighbour counts up to this multiple of what the first
run found. The search then begins a second time, in that direction."""
BESIDE = 1.2
"""A restart begins at this multiple of the distance of the nearest change found so far, halfway
between its direction and a random one."""
SHORTENINGS = 7
COARSE_SHORTENINGS = 4
"""Evaluations per shortening: of the best change, and of each candidate for it."""
OVERSHOT = 3e-5
"""Overshoot at which a change is tried beyond the estimated boundary, as a share of its
distance."""
LENGTHENED = (1e-6, 1e-5, 1e-4, 1e-3)
"""Lengths by which a change is extended, in turn, where rounding undid it. They are in data units,
in which inputs are rounded by about 1e-7."""


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
    first: Tensor
    """(B,) distances at which the first run of the search ended. Where one far exceeds the distance
    of `change`, the search cannot be trusted."""


@torch.no_grad()
def nearest_change(
    model: Model,
    x: Tensor,
    starts: Tensor,
    classes: int | None,
    wander: Tensor,
    at_x: Margins | None = None,
    effort: Effort = DEFAULT,
) -> Nearest:
    """Return the nearest label change around each x (B, *input_shape).

    `starts` (G, N, *input_shape) are inputs to start from: N for each of G equally long runs of
    points, NaN where a run has fewer. `wander` (R, *x.shape) holds random directions, taken in turn
    by points without a gradient. `at_x` are the margins of the predicted labels at x, if they are
    known.

    The result is the nearest of these: what `descend` finds from x; changes in reach in the
    directions of the nearest `starts` with another label, and what it finds from the direction of
    the best of them; what it finds when it aims at each further rival in reach; and what it finds
    from beside the best of all these, again and again. Against exact
    distances the mean is 0.4 % too large on random small ReLU nets and 0.9 % on trained ones
    (tests/measures/test_boundary_exactly.py).

    DeepFool, tried first, got stuck on a fifth of the points of narrow nets and overstated their
    mean threefold; tangent projections (FAB) after this search improved nothing (LOG.md).
    """
    label = predicted(model(x), classes)
    if at_x is None:
        with torch.enable_grad():
            at_x = margins(model, x, label, classes)
    here = at_x.values.amin(dim=1)
    norms = slopes(at_x)
    steep = steepness(at_x, norms, classes or 1)
    search = Search(model, x, label, steep, linear_distance(at_x, norms), wander, classes)

    change = descend(search, x, None, effort.steps)
    best = shortened(x, change, here, search.margin, SHORTENINGS)
    first = l2_distance(x, best)

    def keep(rows: Tensor, chosen: Tensor, change: Tensor) -> None:
        """Keep the changes of the chosen points among `rows` where they are nearer."""
        change = torch.where(column(chosen[rows], change), change, torch.nan)
        best[rows] = nearer(x[rows], change, best[rows], l2_distance)

    def run_again(
        chosen: Tensor, towards: Tensor, rival: Tensor | None, radius: Tensor | None, steps: int
    ) -> None:
        """Run the search again from the chosen points (B,) bool."""
        if not bool(chosen.any()):
            return
        rows = _rows(chosen, len(starts))
        some = search.of(rows)
        aim = None if rival is None else rival[rows]
        begin = None if radius is None else radius[rows]
        change = descend(some, towards[rows], aim, steps, begin)
        keep(rows, chosen, shortened(some.x, change, here[rows], some.margin, SHORTENINGS))

    known = torch.full_like(x, torch.nan)
    reach = KNOWN_IN_REACH * first
    for start in _nearest_starts(model, x, label, starts, classes, effort.neighbours):
        far = torch.lerp(x, start, column((reach / l2_distance(x, start)).clamp(max=1.0), x))
        changed = search.margin(far) < 0
        if not bool(changed.any()):
            continue
        rows = _rows(changed, len(starts))
        some = search.of(rows)
        change = shortened(some.x, far[rows], here[rows], some.margin, COARSE_SHORTENINGS)
        change = torch.where(column(changed[rows], change), change, torch.nan)
        known[rows] = nearer(some.x, change, known[rows], l2_distance)
    is_known = l2_distance(x, known).isfinite()
    keep(torch.arange(len(x), device=x.device), is_known, known)
    run_again(is_known, known, None, None, effort.steps)

    rivals, distances = _rivals(at_x, norms, effort.rivals)
    for rival, distance in zip(rivals.T[1:], distances.T[1:], strict=True):
        in_reach = distance < IN_REACH * l2_distance(x, best)
        run_again(in_reach, x, rival, None, effort.steps)

    reached = l2_distance(x, best)
    going = reached.isfinite()
    for turn in wander[: effort.restarts]:
        length = torch.where(going, reached, 1.0)
        beside = torch.where(column(going, x), best, x) + factor(turn, length) * turn
        run_again(going, beside, None, BESIDE * length, effort.restart_steps)

        nearest = l2_distance(x, best)
        going = going & _worth_more(reached, nearest, len(starts), effort.worth)
        reached = nearest

    # Found among some of the points: among all of them, rounding differs.
    return Nearest(changing(model, x, best, classes), first)


def _worth_more(before: Tensor, after: Tensor, groups: int, worth: float) -> Tensor:
    """Return whether each point's model deserves another restart (B,): whether its mean distance
    fell by more than `worth` times the standard error of that mean. Infinite distances do not
    count."""
    found = before.isfinite().unflatten(0, (groups, -1))
    count = found.sum(dim=1).clamp(min=1)

    def mean(values: Tensor) -> Tensor:
        return torch.where(found, values.unflatten(0, (groups, -1)), 0.0).sum(dim=1) / count

    centre = mean(after)
    spread = (mean(after.square()) - centre.square()).clamp(min=0).sqrt()
    gain = mean(before - after)
    return (gain > worth * spread / count.sqrt()).repeat_interleave(len(before) // groups)


def _rivals(at_x: Margins, norms: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the numbers (B, count) of the rivals with the least first-order distances, and these
    distances; fewer where there are fewer rivals. A rival without a gradient is infinitely far."""
    distance = torch.where(norms > 0, at_x.values / norms, torch.inf)
    distance = torch.where(at_x.values.isinf(), torch.inf, distance)
    there_are = distance.shape[1] - (at_x.rivals is None and distance.shape[1] > 1)
    nearest = distance.topk(min(count, there_are), dim=1, largest=False)
    rivals = nearest.indices if at_x.rivals is None else at_x.rivals.gather(1, nearest.indices)
    return rivals, nearest.values


def _rows(chosen: Tensor, groups: int) -> Tensor:
    """Return the positions of the chosen points (B,) bool, with as many of each group: where a
    group has fewer than another, some of its others fill up."""
    by_group = chosen.unflatten(0, (groups, -1))
    most = int(by_group.sum(dim=1).max())
    positions = by_group.int().argsort(dim=1, descending=True, stable=True)[:, :most]
    begin = by_group.shape[1] * torch.arange(groups, device=chosen.device)[:, None]
    return (begin + positions).flatten()


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
    model: Model, x: Tensor, label: Tensor, starts: Tensor, classes: int | None, count: int
) -> list[Tensor]:
    """Return the `count` nearest of `starts` that carry another label, nearest first, each of the
    shape of x; NaN where there are no more."""
    groups, per_group = starts.shape[:2]
    inputs = starts.flatten(0, 1)
    start_label = predicted(model(inputs), classes).reshape(groups, 1, -1)
    other = start_label != label.reshape(groups, -1, 1)

    by_group = x.reshape(groups, len(x) // groups, -1)
    distance = torch.cdist(by_group, starts.flatten(2)).masked_fill(~other, torch.inf)
    nearest = distance.topk(min(count, per_group), dim=2, largest=False)

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
