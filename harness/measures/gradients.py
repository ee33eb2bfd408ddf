"""Compute input gradients of what decides the label: f for a ±1 target, the margin for classes.

The largest norm over sampled points is a lower estimate of the Lipschitz constant (never the
constant itself); no law holds for the mean norm. The two are never mixed.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from harness.measures.jacobian import FEW_OUTPUTS, Linearised, along_sphere, linearise
from harness.training.stack import Model

RIVALS = 8
"""With a vocabulary, only the margins over this many classes get gradients: those nearest in logit.
First-order distances over them can only be too long: by 9 % on average on a GPT of width 16, and
not at all on one of width 64 (LOG.md)."""


class Margins(NamedTuple):
    """Margins of one fixed label per point over every rival, and their input gradients.

    R is 1 for a ±1 target and K for classes. With a vocabulary, the values are those of the RIVALS
    classes nearest in logit.
    """

    values: Tensor
    """(B, R), positive while the label stands; +inf in the label's own column."""
    gradients: Tensor
    """(B, R, *input_shape), zero in the label's own column."""
    rivals: Tensor | None = None
    """(B, R) numbers of the rivals; only with a vocabulary."""

    def of(self, points: slice) -> "Margins":
        """Return the margins at some of the points."""
        rivals = None if self.rivals is None else self.rivals[points]
        return Margins(self.values[points], self.gradients[points], rivals)


class GradientNorms(NamedTuple):
    """(B,) norms at each point, along the sphere and in all of R^d. For data off the sphere both
    are the same."""

    tangential: Tensor
    ambient: Tensor


def margin_values(output: Tensor, label: Tensor, classes: int | None) -> Tensor:
    """Return the margins of `label` (B, R): label·f, or z_label − z_j with +inf at j = label.

    An output of exactly 0 counts as +1 (`predicted`), so for the label −1 its margin is −1.
    """
    if classes is None:
        f = output.reshape(-1)
        other = (f == 0) & (label < 0)
        return torch.where(other, -1.0, f * label)[:, None]
    gaps = output.gather(1, label[:, None]) - output
    return gaps.scatter(1, label[:, None], float("inf"))


def margins(model: Model, x: Tensor, label: Tensor, classes: int | None) -> Margins:
    """Return the margins of `label` at x (B, *input_shape) and their gradients, by one backward
    pass per output, or with a vocabulary per rival."""
    if classes is None or classes <= FEW_OUTPUTS:
        return margins_of(linearise(model, x), label, classes)

    x = x.detach().requires_grad_(True)
    nearest = margin_values(model(x), label, classes).topk(RIVALS, dim=1, largest=False)
    rows = [
        torch.autograd.grad(nearest.values[:, r].sum(), x, retain_graph=r + 1 < RIVALS)[0]
        for r in range(RIVALS)
    ]
    return Margins(nearest.values.detach(), torch.stack(rows, dim=1), nearest.indices)


def margins_of(at: Linearised, label: Tensor, classes: int | None) -> Margins:
    """Return the same margins for a model that is already linearised at the points."""
    values = margin_values(at.outputs, label, classes)
    if classes is None:
        sign = label.reshape(-1, *[1] * (at.jacobian.dim() - 1))
        return Margins(values, at.jacobian * sign)
    of_label = at.jacobian[torch.arange(len(label), device=label.device), label]
    return Margins(values, of_label[:, None] - at.jacobian)


def slopes(margins: Margins, order: int = 2) -> Tensor:
    """Return the norms (B, R) of the margins' gradients: `order` 2 for ℓ2 distances; 1, the dual
    norm, for ℓ∞."""
    rows = margins.gradients.flatten(2)
    # torch's own 1-norm takes twice as long
    return rows.abs().sum(dim=2) if order == 1 else rows.norm(dim=2)


def linear_distance(margins: Margins, norms: Tensor) -> Tensor:
    """Return the first-order distances (B,) |m_j|/‖∇m_j‖ to the nearest rival's region, +inf where
    every gradient is zero; `norms` are `slopes(margins)`."""
    distance = torch.where(norms > 0, margins.values.abs() / norms, torch.inf)
    return torch.where(margins.values.isinf(), torch.inf, distance).amin(dim=1)


def steepness(margins: Margins, norms: Tensor, outputs: int) -> Tensor:
    """Return what to divide margins (B, outputs) by: their `slopes`, `norms`.

    Where a slope is zero or not known, the point's largest slope stands in, and 1 where all are
    zero.
    """
    steepest = norms.amax(1, keepdim=True)
    steepest = torch.where(steepest > 0, steepest, 1.0)
    norms = torch.where(norms > 0, norms, steepest)
    if margins.rivals is None:
        return norms
    return steepest.expand(-1, outputs).scatter(1, margins.rivals, norms)


def gradient_norms(margins: Margins, x: Tensor, on_sphere: bool) -> GradientNorms:
    """Return the norms of ∇f, or of ∇(top logit − runner-up), from the predicted labels' margins at
    x (B, *input_shape)."""
    runner_up = margins.values.argmin(dim=1)
    points = torch.arange(len(x), device=x.device)
    gradient = margins.gradients.flatten(2)[points, runner_up]
    ambient = gradient.norm(dim=1)
    if not on_sphere:
        return GradientNorms(ambient, ambient)
    tangential = along_sphere(gradient[:, None], x)[:, 0].norm(dim=1)
    return GradientNorms(tangential, ambient)
