"""Accuracy and changed predictions under isotropic Gaussian input noise of graded length."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from harness.training.loop import predicted
from harness.training.stack import Model

RADII = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Root-mean-square length of the noise vector, in data units."""


class NoiseResponse(NamedTuple):
    """Per point and radius of RADII, (B, R) bool: the noisy input's label is right; it is not the clean input's."""

    right: Tensor
    flipped: Tensor


@torch.no_grad()
def noise_response(model: Model, x: Tensor, y: Tensor, classes: int | None, normal: Tensor) -> NoiseResponse:
    """One noise draw per point, scaled to every radius. x (in data units) and `normal` (standard normal numbers): (B, *input_shape)."""
    clean = predicted(model(x), classes)
    target = y if classes is not None else torch.where(y >= 0, 1.0, -1.0)
    direction = normal / math.sqrt(x[0].numel())
    noisy = torch.stack([predicted(model(x + radius * direction), classes) for radius in RADII], dim=1)
    return NoiseResponse(noisy == target[:, None], noisy != clean[:, None])
