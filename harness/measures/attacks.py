"""Adversarial accuracy at every radius from one search per norm, and the signs that a search was fooled.

    change = nearest_linf_change(model, x, towards=nearest_change(...), classes=10, box=(0.0, 1.0))
    robust_accuracy(right, linf_distance(x, change), radii=(0.1, 0.2, 0.3)).accuracy

A minimum-norm attack finds one distance per point; the accuracy on a ball of radius r is the share of points that are
predicted rightly and whose distance exceeds r. No search proves that nothing is nearer, so the accuracy is an upper
estimate. How far it lies from AutoAttack's is measured in tests/benchmarks/robust_accuracy.py.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from harness.measures.boundary import bisect, column, nearer
from harness.measures.gradients import Margins, margin_values, margins, nearest_rival
from harness.training.loop import predicted
from harness.training.stack import Model

L2_RADII = (0.01, 0.02, 0.04, 0.08, 0.12, 0.16, 0.24, 0.32)
"""In data units."""
LINF_RADII = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
"""In the inputs' own numbers where they lie in a box of length 1, as pixels do; scaled with the box, or without one with the
inputs' root mean square (data unit over √d)."""

LINF_STEPS = 40
LINF_STEP = 0.5
"""First step's length over the current radius; falls to LINF_END of it along a cosine."""
LINF_SHRINK = 0.2
"""First relative change of the radius per step; falls along the same cosine."""
LINF_END = 0.03
LEAST, MOST = 0.005, 0.25
"""Limits of the first radius, over the length of the box."""

FLAT = 0.05
"""Share of points without a gradient from which on a gradient-based search is suspect."""


class RobustAccuracy(NamedTuple):
    """Share of points that are right and whose nearest change found lies beyond each radius; binomial standard errors."""

    accuracy: list[float]
    se: list[float]


def robust_accuracy(right: Tensor, distance: Tensor, radii: Sequence[float]) -> RobustAccuracy:
    """right (B,) bool: the prediction at the point itself; distance (B,): to the nearest change found, +inf where none was."""
    accuracy = [float((right & (distance > radius)).float().mean()) for radius in radii]
    return RobustAccuracy(accuracy, [math.sqrt(a * (1 - a) / len(right)) for a in accuracy])


def linf_distance(x: Tensor, z: Tensor) -> Tensor:
    """(B,) largest |z − x| of a number, +inf where z is NaN."""
    return (z - x).flatten(1).abs().amax(dim=1).nan_to_num(nan=math.inf)


@torch.no_grad()
def nearest_linf_change(
    model: Model, x: Tensor, towards: Tensor, classes: int | None, box: tuple[float, float] | None, at_x: Margins | None = None
) -> Tensor:
    """For each x (B, *input_shape) the nearest input in ℓ∞ found that the model labels otherwise; NaN where none was found.

    Sign-gradient steps inside a ball around x whose radius shrinks while the label is changed and grows while it is not
    (the ℓ∞ form of decoupled direction and norm, as in Pintor et al. 2021, arXiv 2102.12827), from two beginnings: x
    itself, and the ℓ2 change found before, `towards` (NaN: x again). Inputs stay in `box`, where there is one.
    `at_x`: the margins of the predicted labels at x, where they are known.
    """
    label = predicted(model(x), classes)
    if at_x is None:
        with torch.enable_grad():
            at_x = margins(model, x, label, classes)

    def inside(z: Tensor) -> Tensor:
        return z if box is None else z.clamp(*box)

    def changed(z: Tensor) -> Tensor:
        return margin_values(model(z), label, classes).amin(dim=1) < 0

    first = nearest_rival(at_x, order=1)[0]
    steepness = at_x.gradients.flatten(2).norm(p=1, dim=2)
    steepest = steepness.amax(1, keepdim=True)
    steepness = torch.where(steepness > 0, steepness, torch.where(steepest > 0, steepest, 1.0))
    known = inside(torch.where(towards.isnan(), x, towards))
    best = torch.where(column(changed(known), x), known, torch.nan)
    # In units of the box, or of a typical number of the inputs.
    span = box[1] - box[0] if box else 3 * float(x.square().mean().sqrt())
    for begin in (x, known):
        offset = begin - x
        length = offset.flatten(1).abs().amax(dim=1)
        radius = torch.where(length > 0, 0.7 * length, (2 * first).clamp(LEAST * span, MOST * span))
        found = _search(model, x, offset, radius, label, classes, steepness, towards, inside)
        best = nearer(x, bisect(x, found, changed), best, linf_distance)
    return best


def _search(
    model: Model,
    x: Tensor,
    offset: Tensor,
    radius: Tensor,
    label: Tensor,
    classes: int | None,
    steepness: Tensor,
    towards: Tensor,
    inside: Callable[[Tensor], Tensor],
) -> Tensor:
    """From x + offset at a radius (B,); the nearest change met on the way, NaN where there was none."""
    best, nearest = torch.full_like(x, torch.nan), torch.full_like(radius, torch.inf)
    for k in range(LINF_STEPS):
        schedule = LINF_END + (1 - LINF_END) * (1 + math.cos(math.pi * k / LINF_STEPS)) / 2
        bound = column(radius, x)
        at = inside(x + offset.clamp(-bound, bound)).requires_grad_(True)
        with torch.enable_grad():
            margin = (margin_values(model(at), label, classes) / steepness).amin(dim=1)
            gradient = torch.autograd.grad(margin.sum(), at)[0]
        at = at.detach()
        offset = at - x
        length = linf_distance(x, at)
        better = (margin < 0) & (length < nearest)
        best, nearest = torch.where(column(better, x), at, best), torch.where(better, length, nearest)
        flat = gradient.flatten(1).abs().amax(dim=1) == 0
        if bool(flat.any()):  # towards what is known to be another label
            gradient = torch.where(column(flat, x), (x - towards).nan_to_num(0.0), gradient)
        offset = offset - LINF_STEP * schedule * bound * gradient.sign()
        radius = radius * torch.where(margin < 0, 1 - LINF_SHRINK * schedule, 1 + LINF_SHRINK * schedule)
    return best


def warnings(margins: Margins, distance: Tensor, certified: Tensor | None, noise: Tensor) -> list[str]:
    """Signs, of one model, that gradients are masked or the ℓ2 search failed (Athalye et al. 2018, arXiv 1802.00420, section 3.1).

    margins: of the predicted labels at the points; distance (B,): what the search found; certified (B,): radii without any
    change; noise (B,): length of the shortest Gaussian noise tried that changed the label, +inf where none did.
    """
    flat = float((margins.gradients.flatten(1) == 0).all(dim=1).float().mean())
    missed, beaten = int(distance.isinf().sum()), int((noise < distance * (1 - 1e-4)).sum())
    beyond = int((certified > distance * (1 + 1e-4) + 1e-6).sum()) if certified is not None else 0
    said = {
        f"no gradient at {flat:.0%} of the points": flat >= FLAT,
        f"no label change found for {missed} points": missed > 0,
        f"random noise changed the label nearer than the search at {beaten} points": beaten > 0,
        f"the search went below a certified distance at {beyond} points": beyond > 0,
    }
    return [sentence for sentence, holds in said.items() if holds]
