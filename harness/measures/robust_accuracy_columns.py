"""Fill the columns `robust_*` and `attack_warnings`, from `robust_accuracy.py`."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from harness.measures.at_points import AtPoints, nearest_linf
from harness.measures.certified_bound import Bound, certified_radii
from harness.measures.input_noise import RADII, NoiseResponse
from harness.measures.points import Draw, Probe
from harness.measures.robust_accuracy import (
    L2_RADII,
    LINF_RADII,
    RobustAccuracy,
    robust_accuracy,
    warnings,
)
from harness.store.schema import Columns


def robust_accuracy_columns(probe: Probe, at: AtPoints, bounds: Sequence[Bound]) -> list[Columns]:
    """Return each model's accuracy under ℓ2 and ℓ∞ attacks, and the signs that the search
    failed."""
    margins = at.local.margins
    linf_distance = nearest_linf(probe, margins, at.change)
    flipping_noise = _shortest_flipping_noise(probe, at.noise)

    columns: list[Columns] = []
    for m, (draw, bound) in enumerate(zip(probe.draws, bounds, strict=True)):
        points = probe.points_of(m)
        right = at.right[points]
        distance = at.distance[points]
        linf_radii = [_linf_length(probe, draw) * radius for radius in LINF_RADII]
        certified = certified_radii(margins, bound, points, probe.classes)
        in_l2 = robust_accuracy(right, distance, L2_RADII)
        in_linf = robust_accuracy(right, linf_distance[points], linf_radii)
        columns.append(
            {
                "robust_l2_radii": list(L2_RADII),
                **_named("l2", in_l2),
                "robust_linf_radii": linf_radii,
                "robust_linf_box": list(probe.box) if probe.box else None,
                **_named("linf", in_linf),
                "attack_warnings": warnings(
                    margins.of(points), distance, certified, flipping_noise[points]
                ),
            }
        )
    return columns


def _linf_length(probe: Probe, draw: Draw) -> float:
    """Return the length that LINF_RADII are multiplied by: the box's, or the inputs' root mean
    square."""
    if probe.box:
        return probe.box[1] - probe.box[0]
    return draw.unit / math.sqrt(draw.x[0].numel())


def _shortest_flipping_noise(probe: Probe, noise: NoiseResponse) -> Tensor:
    """Return the lengths (M·B,) of the shortest Gaussian noise tried that changed each label, in
    data units; +inf where none did."""
    length = (
        probe.all("normal").flatten(1).norm(dim=1, keepdim=True)
        * torch.tensor(RADII).to(probe.x)
        / math.sqrt(probe.x[0].numel())
    )
    return length.masked_fill(~noise.flipped, math.inf).amin(dim=1)


def _named(norm: str, accuracy: RobustAccuracy) -> Columns:
    return {f"robust_accuracy_{norm}": accuracy.accuracy, f"robust_accuracy_{norm}_se": accuracy.se}
