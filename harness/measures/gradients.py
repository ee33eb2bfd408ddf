"""Input gradients of what decides the label: f for a ±1 target, the margin for classes.

The largest norm over sampled points is a lower estimate of the Lipschitz constant (never the constant itself);
no law holds for the mean norm. The two are never mixed.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from harness.measures.jacobian import Linearised, along_sphere, linearise
from harness.training.stack import Model


class Margins(NamedTuple):
    """Margins of one fixed label per point over every rival, and their input gradients.

    values: (B, R), positive while the label stands; gradients: (B, R, *input_shape). R is 1 for a ±1 target
    and K for classes, where the label's own column is +inf with a zero gradient.
    """

    values: Tensor
    gradients: Tensor


class GradientNorms(NamedTuple):
    """(B,) norms at each point, along the sphere and in all of R^d. The same off the sphere."""

    tangential: Tensor
    ambient: Tensor


def margin_values(output: Tensor, label: Tensor, classes: int | None) -> Tensor:
    """(B, R) margins of `label`: label·f, or z_label − z_j with +inf at j = label."""
    if classes is None:
        return (output.reshape(-1) * label)[:, None]
    gaps = output.gather(1, label[:, None]) - output
    return gaps.scatter(1, label[:, None], float("inf"))


def margins(model: Model, x: Tensor, label: Tensor, classes: int | None) -> Margins:
    """Margins of `label` at x and their gradients, one backward pass per output. x: (B, *input_shape)."""
    return margins_of(linearise(model, x), label, classes)


def margins_of(at: Linearised, label: Tensor, classes: int | None) -> Margins:
    """The same from what is known of the model at the points."""
    values = margin_values(at.outputs, label, classes)
    if classes is None:
        return Margins(values, at.jacobian * label.reshape(-1, *[1] * (at.jacobian.dim() - 1)))
    own = at.jacobian[torch.arange(len(label), device=label.device), label]
    return Margins(values, own[:, None] - at.jacobian)


def nearest_rival(m: Margins, order: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """First-order distance |m_j|/‖∇m_j‖ minimised over rivals, the rival's index, and its margin's gradient norm.

    All (B,). The distance is +inf where every gradient is zero. `order` 2 is for ℓ2 distances; 1, the dual norm, for ℓ∞.
    """
    norms = m.gradients.flatten(2).norm(p=order, dim=2)
    distance = torch.where(norms > 0, m.values.abs() / norms, torch.inf)
    distance = torch.where(m.values.isinf(), torch.inf, distance)
    nearest, rival = distance.min(dim=1)
    return nearest, rival, norms.gather(1, rival[:, None]).squeeze(1)


def gradient_norms(m: Margins, x: Tensor, on_sphere: bool) -> GradientNorms:
    """Norms of ∇f, or of ∇(top logit − runner-up), from the predicted labels' margins at x (B, *input_shape)."""
    runner_up = m.values.argmin(dim=1)
    gradient = m.gradients.flatten(2)[torch.arange(len(x), device=x.device), runner_up]
    ambient = gradient.norm(dim=1)
    return GradientNorms(along_sphere(gradient[:, None], x)[:, 0].norm(dim=1), ambient) if on_sphere else GradientNorms(ambient, ambient)
