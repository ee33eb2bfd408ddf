"""Class stability: the mean l2 distance from held-out points to the decision boundary, two ways.

S(f) = E min(distance, cap) is the quantity that the classification form of the law bounds (von Berg et al. 2026,
arXiv 2603.02806). *First order* divides the margin by its gradient's norm. *Attack* searches for the nearest point
with another label: whatever it finds is an upper estimate of the distance, never a lower one.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from harness.measures.gradients import current_label, margin_values, margins, nearest_rival

DEEPFOOL_STEPS = 20
OVERSHOOT = 1.02
BISECTIONS = 12
REFINEMENTS = 10


class Stability(NamedTuple):
    """Distances in data units. `censored` is the share of points beyond the cap (or without a gradient)."""

    mean: float
    se: float
    median: float
    censored: float


def first_order(model: nn.Module, x: Tensor, classes: int | None, cap: float) -> Stability:
    """min over rivals j of |m_j|/‖∇m_j‖ at each point; zero-gradient points are censored and left out of the mean."""
    with torch.no_grad():
        label = current_label(model(x), classes)
    distance = nearest_rival(margins(model, x, label, classes))[0]
    known = distance.isfinite()
    return _summary(distance[known].clamp(max=cap), distance.clamp(max=cap), float((distance >= cap).float().mean()))


def attack(model: nn.Module, x: Tensor, starts: Tensor, classes: int | None, cap: float) -> Stability:
    """`nearest_change` summarised; points without a change found within the cap count as the cap."""
    changed = nearest_change(model, x, starts, classes)
    distance = (changed - x).flatten(1).norm(dim=1).nan_to_num(nan=math.inf)
    capped = distance.clamp(max=cap)
    return _summary(capped, capped, float((distance >= cap).float().mean()))


@torch.no_grad()
def nearest_change(model: nn.Module, x: Tensor, starts: Tensor, classes: int | None) -> Tensor:
    """For each x the nearest input found that the model labels otherwise; NaN where none was found. Same shape as x.

    Starts from DeepFool (Moosavi-Dezfooli et al. 2016, arXiv 1511.04599) and from the nearest of `starts` with
    another label, bisects towards x, then projects x onto the boundary's tangent plane again and again as FAB does
    (Croce & Hein 2020, arXiv 1907.02044), keeping the nearest label change seen.
    """
    output = model(x)
    label = current_label(output, classes)

    def changed(z: Tensor) -> Tensor:
        return margin_values(model(z), label, classes).amin(dim=1) < 0

    found = _from_other_points(model, x, label, starts, classes)
    best = _nearer(x, _bisect(x, found, changed), torch.full_like(x, torch.nan))
    best = _nearer(x, _bisect(x, _deepfool(model, x, label, classes, changed), changed), best)
    step = _column(torch.ones(len(x), device=x.device), x)
    for _ in range(REFINEMENTS):
        at = torch.where(best.isnan(), x, best)
        with torch.enable_grad():
            m = margins(model, at, label, classes)
        _, rival, norm = nearest_rival(m)
        rows = torch.arange(len(x), device=x.device)
        normal, value = m.gradients[rows, rival], m.values[rows, rival]
        # Project x onto the plane {z : value + normal·(z − at) = 0}, then go a little past it.
        gap = value + (normal * (x - at)).flatten(1).sum(1)
        shift = normal * _column(-OVERSHOOT * gap / norm.square().clamp(min=1e-30), x)
        candidate = at + step * (x + shift - at)
        hit = changed(candidate)
        closer = _nearer(x, _bisect(x, torch.where(_column(hit, x), candidate, torch.nan), changed), best)
        improved = _column((closer != best).flatten(1).any(1) & ~closer.flatten(1).isnan().any(1), x)
        step = torch.where(improved, step, step / 2)
        best = closer
    return best


def _deepfool(model, x: Tensor, label: Tensor, classes: int | None, changed) -> Tensor:
    """Walk to the nearest linearised boundary until the label changes; NaN where it never does."""
    at, done = x.clone(), torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for _ in range(DEEPFOOL_STEPS):
        with torch.enable_grad():
            m = margins(model, at, label, classes)
        distance, rival, norm = nearest_rival(m)
        normal = m.gradients[torch.arange(len(x), device=x.device), rival]
        length = torch.where(distance.isfinite(), OVERSHOOT * distance / norm.clamp(min=1e-30), torch.zeros_like(norm))
        moved = at - normal * _column(length + 1e-6 * (length > 0), x)
        at = torch.where(_column(done, x), at, moved)
        done = changed(at)
        if bool(done.all()):
            break
    return torch.where(_column(done, x), at, torch.nan)


def _from_other_points(model, x: Tensor, label: Tensor, starts: Tensor, classes: int | None) -> Tensor:
    """The nearest of `starts` that carries another label; NaN where none does."""
    other = current_label(model(starts), classes)[None, :] != label[:, None]
    distance = torch.cdist(x.flatten(1), starts.flatten(1)).masked_fill(~other, torch.inf)
    nearest = starts[distance.argmin(dim=1)]
    return torch.where(_column(other.any(1), x), nearest, torch.nan)


def _bisect(x: Tensor, far: Tensor, changed) -> Tensor:
    """Move label changes `far` towards x along the segment; the result still changes the label. NaN stays NaN."""
    near, far = x, far.clone()
    for _ in range(BISECTIONS):
        middle = (near + far) / 2
        hit = _column(changed(middle), x)
        near, far = torch.where(hit, near, middle), torch.where(hit, middle, far)
    return far


def _nearer(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Per point the one of a and b nearer to x; NaN counts as infinitely far."""
    distance = [(z - x).flatten(1).norm(dim=1).nan_to_num(nan=math.inf) for z in (a, b)]
    return torch.where(_column(distance[0] < distance[1], x), a, b)


def _column(v: Tensor, like: Tensor) -> Tensor:
    return v.reshape(-1, *[1] * (like.dim() - 1))


def _summary(averaged: Tensor, ranked: Tensor, censored: float) -> Stability:
    if not len(averaged):
        return Stability(math.nan, math.nan, float(ranked.median()), censored)
    spread = float(averaged.std()) if len(averaged) > 1 else math.nan
    return Stability(float(averaged.mean()), spread / math.sqrt(len(averaged)), float(ranked.median()), censored)
