"""Accuracy, changed predictions and moved outputs under isotropic Gaussian input noise of graded length."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from harness.training.loop import predicted, wrong
from harness.training.stack import Model

RADII = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Root-mean-square length of the noise vector, in data units."""


class NoiseResponse(NamedTuple):
    """Per point and radius of RADII, (B, R). Bool: the noisy input's label is right; it is not the clean input's.

    Float: `change` is ‖f(x + noise) − f(x)‖ over the outputs, in their own unit. Of a linear map W its mean square is
    ‖W‖_F² r²/d.
    """

    right: Tensor
    flipped: Tensor
    change: Tensor


@torch.no_grad()
def noise_response(model: Model, x: Tensor, y: Tensor, classes: int | None, normal: Tensor) -> NoiseResponse:
    """One noise draw per point, scaled to every radius. x (in data units) and `normal` (standard normal numbers): (B, *input_shape)."""
    clean = model(x)
    label = predicted(clean, classes)
    direction = normal / math.sqrt(x[0].numel())
    right, flipped, change = [], [], []
    for radius in RADII:
        noisy = model(x + radius * direction)
        right.append(~wrong(noisy, y, classes))
        flipped.append(predicted(noisy, classes) != label)
        change.append((noisy - clean).norm(dim=1))
    return NoiseResponse(torch.stack(right, dim=1), torch.stack(flipped, dim=1), torch.stack(change, dim=1))
