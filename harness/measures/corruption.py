"""Measure accuracy and changed predictions on images that are shifted, rotated, blurred or lowered
in contrast, at five severities each.

The four corruptions are from MNIST-C (Mu & Gilmer 2019, arXiv 1906.02337), with the sizes of its
published code; blur and contrast are ImageNet-C's (Hendrycks & Dietterich 2019, arXiv 1903.12261).
Sizes are in pixels, for images of about 30 pixels a side. Unlike in MNIST-C, a shift goes along one
axis only: five pixels along both axes push accuracy on digits below chance.

    directions = draw_directions(len(x), generator)
    right, flipped = corruption_response(model, x, y, 10, directions, box=(0.0, 1.0))
    corruption_rows(right, flipped)  # [{"kind": "shift", "severity": 1, "accuracy": 0.93, …}, …]
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.training.evaluation import predicted, wrong
from harness.training.stack import Model

SIZES = {
    "shift": (1.0, 2.0, 3.0, 4.0, 5.0),
    "rotation": (11.5, 22.9, 34.4, 45.8, 57.3),
    "blur": (1.0, 2.0, 3.0, 4.0, 6.0),
    "contrast": (0.6, 0.7, 0.8, 0.9, 0.95),
}
"""Units: pixels; degrees (MNIST-C's 0.2 … 1 radian); the Gaussian's standard deviation in pixels;
the share of the contrast that is removed. A size of 0 is the image itself."""

BLUR_REACH = 4.0
"""Standard deviations at which the Gaussian is cut off."""

HEADINGS = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))
"""Right, down, left, up."""


class Variation(NamedTuple):
    """One kind of corruption at one severity, 1 … 5; `size` in the unit of SIZES."""

    kind: str
    severity: int
    size: float


VARIATIONS = tuple(
    Variation(kind, severity, size)
    for kind, sizes in SIZES.items()
    for severity, size in enumerate(sizes, 1)
)


class CorruptionResponse(NamedTuple):
    """Each point's response to each of VARIATIONS, (B, 20) bool."""

    right: Tensor
    """The model labels the corrupted image correctly."""
    flipped: Tensor
    """The model labels the corrupted image differently from the clean image."""


def draw_directions(points: int, generator: torch.Generator) -> Tensor:
    """Draw each point's directions, (points, 3): the heading of a shift as (right, down), and the
    sense of a rotation, +1 counterclockwise.

    A point keeps its directions at all severities.
    """
    heading = torch.randint(4, (points,), generator=generator)
    turn = torch.randint(2, (points,), generator=generator)
    return torch.cat([torch.tensor(HEADINGS)[heading], 1.0 - 2.0 * turn[:, None]], dim=1)


@torch.no_grad()
def corruption_response(
    model: Model,
    x: Tensor,
    y: Tensor,
    classes: int | None,
    directions: Tensor,
    box: tuple[float, float],
) -> CorruptionResponse:
    """Compare the model at x (B, C, H, W) with the model at x under every corruption.

    y: (B,) labels; `directions` and `box` as in `corrupt`.
    """
    clean = predicted(model(x), classes)
    right: list[Tensor] = []
    flipped: list[Tensor] = []
    for _, corrupted in corruptions(x, directions, box):
        output = model(corrupted)
        right.append(~wrong(output, y, classes))
        flipped.append(predicted(output, classes) != clean)
    return CorruptionResponse(torch.stack(right, dim=1), torch.stack(flipped, dim=1))


def corruption_rows(right: Tensor, flipped: Tensor) -> list[dict[str, Any]]:
    """Return one model's response, (B, 20) each, as the entries of the column `corruptions`."""
    accuracies = right.double().mean(0).tolist()
    flip_rates = flipped.double().mean(0).tolist()
    return [
        {
            **variation._asdict(),
            "accuracy": accuracy,
            "accuracy_se": math.sqrt(accuracy * (1 - accuracy) / len(right)),
            "flip_rate": flip_rate,
        }
        for variation, accuracy, flip_rate in zip(VARIATIONS, accuracies, flip_rates, strict=True)
    ]


def corruptions(
    x: Tensor, directions: Tensor, box: tuple[float, float]
) -> Iterator[tuple[Variation, Tensor]]:
    """Yield x under every corruption, in the order of VARIATIONS. Arguments as in `corrupt`."""
    for variation in VARIATIONS:
        yield variation, corrupt(x, variation.kind, variation.size, directions, box)


def corrupt(
    x: Tensor, kind: str, size: float, directions: Tensor, box: tuple[float, float]
) -> Tensor:
    """Return the images x (B, C, H, W) under one corruption, same shape, within the box.

    `directions`: (B, 3) as from `draw_directions`; `box`: least and greatest value of a pixel, in
    the numbers of x. Pixels that a shift or a rotation uncovers get the least value.
    """
    if kind == "shift":
        return _moved(x, _shift(x, size * directions[:, :2]), *box)
    if kind == "rotation":
        return _moved(x, _rotation(x, math.radians(size) * directions[:, 2]), *box)
    if kind == "blur":
        along_columns = _blur(x.shape[2], size).to(x)
        along_rows = _blur(x.shape[3], size).to(x)
        return (along_columns @ x @ along_rows.T).clamp(*box)
    mean = x.mean((2, 3), keepdim=True)
    return (mean + (1 - size) * (x - mean)).clamp(*box)


def _moved(x: Tensor, maps: Tensor, lo: float, hi: float) -> Tensor:
    """Move each image by its affine map (B, 2, 3) from output to input coordinates, interpolating
    between the four nearest pixels."""
    grid = F.affine_grid(maps.to(x), list(x.shape), align_corners=False)
    return (F.grid_sample(x - lo, grid, align_corners=False) + lo).clamp(lo, hi)


def _shift(x: Tensor, pixels: Tensor) -> Tensor:
    """Return the maps (B, 2, 3) that shift each image by `pixels` (B, 2), right and down.

    Maps go from output to input coordinates, in which a side of the image is 2 long.
    """
    maps = torch.eye(2, 3).repeat(len(x), 1, 1).to(pixels)
    maps[:, 0, 2] = -2 / x.shape[3] * pixels[:, 0]
    maps[:, 1, 2] = -2 / x.shape[2] * pixels[:, 1]
    return maps


def _rotation(x: Tensor, angles: Tensor) -> Tensor:
    """Return the maps (B, 2, 3) that rotate each image around its middle by `angles` (B,) in
    radians, counterclockwise where rows run downwards."""
    height_over_width = x.shape[2] / x.shape[3]
    maps = torch.zeros(len(x), 2, 3).to(angles)
    maps[:, 0, 0] = maps[:, 1, 1] = angles.cos()
    maps[:, 0, 1] = -height_over_width * angles.sin()
    maps[:, 1, 0] = angles.sin() / height_over_width
    return maps


def _blur(side: int, sigma: float) -> Tensor:
    """Return the (side, side) matrix that averages a line of pixels with Gaussian weights. Beyond
    its ends the line repeats its last pixel."""
    reach = int(BLUR_REACH * sigma + 0.5)
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.softmax(-offsets.double().square() / (2 * max(sigma, 1e-3) ** 2), dim=0)
    sources = (torch.arange(side)[:, None] + offsets).clamp(0, side - 1)
    by_pixel = weights.expand(side, -1).contiguous()
    return torch.zeros(side, side, dtype=torch.double).scatter_add_(1, sources, by_pixel)
