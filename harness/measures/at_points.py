"""Compute once what several groups of columns need to know about the models at their held-out
points.

All tensors hold the points of all models in one flat batch of M·B, in the order of the probe.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from harness.measures.boundary import Nearest, changing, l2_distance, nearest_change
from harness.measures.gradients import Margins, margins, margins_of
from harness.measures.input_noise import NoiseResponse, noise_response
from harness.measures.jacobian import (
    FEW_OUTPUTS,
    LocalNorms,
    linearise,
    local_norms,
    local_norms_of,
)
from harness.measures.points import Probe
from harness.measures.robust_accuracy import linf_distance, nearest_linf_change
from harness.training.evaluation import predicted, wrong


class Local(NamedTuple):
    """The models linearised at the points: outputs (M·B, K), predicted labels (M·B,), the margins
    of these labels, and the norms of the Jacobians. Gradients are in coordinates of
    `probe.row_space`."""

    outputs: Tensor
    label: Tensor
    margins: Margins
    norms: LocalNorms


class AtPoints(NamedTuple):
    """The models at and around the points."""

    local: Local
    right: Tensor
    """(M·B,) bool: the model predicts the point's own label."""
    nearest: Nearest
    """The nearest inputs found with another label, in data units."""
    distance: Tensor
    """(M·B,) ℓ2 distances to them, in data units; +inf where none was found."""
    noise: NoiseResponse


def evaluate_at_points(probe: Probe) -> AtPoints:
    """Linearise the models at the points, search for the nearest label changes, and add noise."""
    local = linearise_at_points(probe)
    nearest = nearest_l2(probe, local.margins)
    distance = l2_distance(probe.x, nearest.change)
    right = ~wrong(local.outputs, probe.y, probe.classes)
    noise = noise_response(probe.model, probe.x, probe.y, probe.classes, probe.all("normal"))
    return AtPoints(local, right, nearest, distance, noise)


def linearise_at_points(probe: Probe) -> Local:
    """Return margins and norms at the points, from whole Jacobians where there are few outputs."""
    model = probe.row_space.model
    u = probe.coordinates("x")

    if probe.classes is None or probe.classes <= FEW_OUTPUTS:
        at_x = linearise(model, u)
        label = predicted(at_x.outputs, probe.classes)
        return Local(
            at_x.outputs,
            label,
            margins_of(at_x, label, probe.classes),
            local_norms_of(at_x, u, probe.classes, probe.on_sphere),
        )

    with torch.no_grad():
        outputs = model(u)
    label = predicted(outputs, probe.classes)
    return Local(
        outputs,
        label,
        margins(model, u, label, probe.classes),
        local_norms(model, u, probe.classes, probe.on_sphere),
    )


def nearest_l2(probe: Probe, margins: Margins) -> Nearest:
    """Return the nearest inputs (M·B, *input_shape) found with another label, in data units.

    `margins` are those of the predicted labels at the points, with gradients in coordinates of
    `probe.row_space`, where the search takes place.
    """
    row_space = probe.row_space
    starts = torch.cat([draw.starts for draw in probe.draws])
    starts = probe.each(row_space.coordinates(starts))
    wander = torch.cat([draw.wander for draw in probe.draws], dim=1)
    wander = torch.stack([row_space.coordinates(directions) for directions in wander])

    nearest = nearest_change(
        row_space.model, probe.coordinates("x"), starts, probe.classes, wander, margins
    )

    change = row_space.inputs(probe.x, nearest.change)
    change = changing(probe.model, probe.x, change, probe.classes)
    return nearest._replace(change=change)


def nearest_linf(probe: Probe, margins: Margins, l2_change: Tensor) -> Tensor:
    """Return the ℓ∞ distances (M·B,) to the nearest inputs found with another label, in the
    inputs' own numbers.

    `margins` are as in `nearest_l2`. `l2_change` is what that search found, in data units.
    """
    units = probe.units()
    raw = probe.x * units
    gradients = probe.row_space.lift(margins.gradients) / units[:, None]
    raw_margins = margins._replace(gradients=gradients)
    change = nearest_linf_change(
        probe.raw, raw, l2_change * units, probe.classes, probe.box, raw_margins
    )
    return linf_distance(raw, change)
