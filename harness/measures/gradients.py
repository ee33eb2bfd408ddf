"""Input gradients of what decides the label: f for a ±1 target, the margin for classes.

The largest norm over sampled points is a lower estimate of the Lipschitz constant (never the
constant itself); no law holds for the mean norm. The two are never mixed.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from harness.measures.jacobian import FEW_OUTPUTS, Linearised, along_sphere, linearise
from harness.training.stack import Model

RIVALS = 8
"""Of a vocabulary, the margins over so many classes have gradients: those nearest in logit.
First-order distances over them can only be too long: by 9 % in the mean on a GPT of width 16, by
nothing on one of width 64 (LOG.md)."""


class Margins(NamedTuple):
    """Margins of one fixed label per point over every rival, and their input gradients.

    values: (B, R), positive while the label stands; gradients: (B, R, *input_shape). R is 1 for a
    ±1 target and K for classes, where the label's own column is +inf with a zero gradient; of a
    vocabulary the RIVALS nearest in logit, whose numbers are `rivals` (B, R).
    """

    values: Tensor
    gradients: Tensor
    rivals: Tensor | None = None

    def of(self, points: slice) -> "Margins":
        """Of some of the points."""
        return Margins(
            self.values[points],
            self.gradients[points],
            None if self.rivals is None else self.rivals[points],
        )


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
    """Margins of `label` at x and their gradients, one backward pass per output, or per rival of
    a vocabulary. x: (B, *input_shape)."""
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
    """The same from what is known of the model at the points."""
    values = margin_values(at.outputs, label, classes)
    if classes is None:
        return Margins(values, at.jacobian * label.reshape(-1, *[1] * (at.jacobian.dim() - 1)))
    own = at.jacobian[torch.arange(len(label), device=label.device), label]
    return Margins(values, own[:, None] - at.jacobian)


def slopes(m: Margins, order: int = 2) -> Tensor:
    """(B, R) norms of the margins' gradients: `order` 2 for ℓ2 distances; 1, the dual norm, for
    ℓ∞."""
    rows = m.gradients.flatten(2)
    # torch's own 1-norm takes twice as long
    return rows.abs().sum(dim=2) if order == 1 else rows.norm(dim=2)


def linear_distance(m: Margins, norms: Tensor) -> Tensor:
    """(B,) first-order distance |m_j|/‖∇m_j‖ to the nearest rival's region, +inf where every
    gradient is zero; `norms` are `slopes(m)`."""
    distance = torch.where(norms > 0, m.values.abs() / norms, torch.inf)
    return torch.where(m.values.isinf(), torch.inf, distance).amin(dim=1)


def steepness(m: Margins, norms: Tensor, outputs: int) -> Tensor:
    """(B, outputs) `slopes(m)` to divide margins by: where one is zero or not known, the point's
    largest, and 1 where all are zero."""
    steepest = norms.amax(1, keepdim=True)
    steepest = torch.where(steepest > 0, steepest, 1.0)
    norms = torch.where(norms > 0, norms, steepest)
    return norms if m.rivals is None else steepest.expand(-1, outputs).scatter(1, m.rivals, norms)


def gradient_norms(m: Margins, x: Tensor, on_sphere: bool) -> GradientNorms:
    """Norms of ∇f, or of ∇(top logit − runner-up), from the predicted labels' margins at x (B,
    *input_shape)."""
    runner_up = m.values.argmin(dim=1)
    gradient = m.gradients.flatten(2)[torch.arange(len(x), device=x.device), runner_up]
    ambient = gradient.norm(dim=1)
    return (
        GradientNorms(along_sphere(gradient[:, None], x)[:, 0].norm(dim=1), ambient)
        if on_sphere
        else GradientNorms(ambient, ambient)
    )
