"""Measure accuracy, changed predictions, and moved outputs and probabilities under isotropic
Gaussian input noise of graded length."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from harness.training.evaluation import predicted, wrong
from harness.training.stack import Model

RADII = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Root-mean-square lengths of the noise vector, in data units."""


class NoiseResponse(NamedTuple):
    """Each point's response at each radius of RADII, (B, R)."""

    right: Tensor
    """Bool: the model labels the noisy input correctly."""
    flipped: Tensor
    """Bool: the model labels the noisy input differently from the clean input."""
    change: Tensor
    """‖f(x + noise) − f(x)‖ over the outputs, in their own unit. For a linear map W its mean square
    is ‖W‖_F² r²/d."""
    kl: Tensor | None
    """KL(p_clean ‖ p_noisy) of the classes' softmax probabilities, in nats; None for a ±1 target,
    whose f is no distribution."""


@torch.no_grad()
def noise_response(
    model: Model, x: Tensor, y: Tensor, classes: int | None, normal: Tensor
) -> NoiseResponse:
    """Return the responses to one noise draw per point, scaled to every radius.

    x (in data units) and `normal` (standard normal numbers): (B, *input_shape).
    """
    clean = model(x)
    label = predicted(clean, classes)
    direction = normal / math.sqrt(x[0].numel())

    right: list[Tensor] = []
    flipped: list[Tensor] = []
    change: list[Tensor] = []
    kl: list[Tensor] = []
    for radius in RADII:
        noisy = model(x + radius * direction)
        right.append(~wrong(noisy, y, classes))
        flipped.append(predicted(noisy, classes) != label)
        change.append((noisy - clean).norm(dim=1))
        if classes is not None:
            kl.append(kl_divergence(clean, noisy))

    return NoiseResponse(
        torch.stack(right, dim=1),
        torch.stack(flipped, dim=1),
        torch.stack(change, dim=1),
        torch.stack(kl, dim=1) if kl else None,
    )


def kl_divergence(clean: Tensor, other: Tensor) -> Tensor:
    """Return KL(p_clean ‖ p_other) ≥ 0 (B,) in nats, float64, of the distributions with logits
    (B, K).

    The sum is taken in float64 because its terms nearly cancel: for a small change δ of the logits
    it is of order δ². Values that rounding puts below 0 become 0.
    """
    p = clean.double().log_softmax(1)
    q = other.double().log_softmax(1)
    return (p.exp() * (p - q)).sum(1).clamp(min=0)
