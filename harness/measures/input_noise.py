"""Accuracy and changed predictions under isotropic Gaussian input noise of graded length."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from harness.training.loop import predicted

RADII = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Root-mean-square length of the noise vector, in data units."""


class NoiseResponse(NamedTuple):
    """One value per radius of RADII."""

    accuracy: list[float]
    accuracy_se: list[float]
    flip_rate: list[float]


@torch.no_grad()
def noise_response(model: nn.Module, x: Tensor, y: Tensor, classes: int | None, unit: float, normal: Tensor) -> NoiseResponse:
    """One noise draw per point, scaled to every radius. x and `normal` (standard normal numbers): (B, *input_shape);
    `unit` is one data unit in raw l2."""
    clean = predicted(model(x), classes)
    target = y if classes is not None else torch.where(y >= 0, 1.0, -1.0)
    direction = normal / math.sqrt(x[0].numel())
    accuracy, flips = [], []
    for radius in RADII:
        noisy = predicted(model(x + radius * unit * direction), classes)
        accuracy.append(float((noisy == target).float().mean()))
        flips.append(float((noisy != clean).float().mean()))
    return NoiseResponse(accuracy, [math.sqrt(a * (1 - a) / len(x)) for a in accuracy], flips)
