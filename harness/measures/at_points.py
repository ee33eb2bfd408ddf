"""Compute once what several groups of columns need to know about the models at their held-out
points.

All tensors hold the points of all models in one flat batch of M·B, in the order of the probe.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from harness.measures.boundary import OVERSHOT, Nearest, changing, nearest_change
from harness.measures.distances import column, l2_distance, nearer
from harness.measures.gradients import Margins, margins, margins_of, slopes
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


class Searched(NamedTuple):
    """The nearest label changes found around the points."""

    margins: Margins
    """The margins of the predicted labels, with gradients in coordinates of `probe.row_space`."""
    nearest: Nearest
    """The nearest inputs found with another label, in data units."""
    distance: Tensor
    """(M·B,) ℓ2 distances to them, in data units; +inf where none was found."""


class AtPoints(NamedTuple):
    """The models at and around the points."""

    local: Local
    right: Tensor
    """(M·B,) bool: the model predicts the point's own label."""
    change: Tensor
    """(M·B, *input_shape) the nearest inputs found with another label, in data units."""
    distance: Tensor
    """(M·B,) ℓ2 distances to them, in data units; +inf where none was found."""
    noise: NoiseResponse


def search_at_points(probe: Probe) -> Searched:
    """Search for the nearest label changes around the points."""
    with torch.no_grad():
        label = predicted(probe.model(probe.x), probe.classes)
    at_x = margins(probe.row_space.model, probe.coordinates("x"), label, probe.classes)
    nearest = nearest_l2(probe, at_x)
    change = nearer(probe.x, _linear_change(probe, at_x, label), nearest.change, l2_distance)
    nearest = nearest._replace(change=change)
    return Searched(at_x, nearest, l2_distance(probe.x, change))


def _linear_change(probe: Probe, margins: Margins, label: Tensor) -> Tensor:
    """Return the inputs (M·B, *input_shape) just beyond the nearest rival's boundary if the models
    were linear; NaN where the label is not changed there.

    A search steps over a boundary behind which the output is constant, and then has no gradient to
    come back by. This finds it (tests/measures/test_known_answers_caps.py).
    """
    norms = slopes(margins)
    distance = torch.where(norms > 0, margins.values / norms, torch.inf)
    distance, rival = distance.masked_fill(margins.values.isinf(), torch.inf).min(dim=1)

    points = torch.arange(len(rival), device=rival.device)
    gradient = margins.gradients[points, rival]
    length = (1 + OVERSHOT) * distance / norms[points, rival]
    u = probe.coordinates("x")
    change = probe.row_space.inputs(probe.x, u - column(length, u) * gradient)

    with torch.no_grad():
        changed = predicted(probe.model(change), probe.classes) != label
    return torch.where(column(changed, change), change, torch.nan)


def evaluate_at_points(probe: Probe, searched: Searched) -> AtPoints:
    """Linearise the models at the points, and add noise. `searched` holds at least these points of
    each model, and these first."""
    local = linearise_at_points(probe)
    right = ~wrong(local.outputs, probe.y, probe.classes)
    noise = noise_response(probe.model, probe.x, probe.y, probe.classes, probe.all("normal"))

    points = len(probe.x) // probe.models
    change = probe.each(searched.nearest.change)[:, :points].flatten(0, 1)
    distance = probe.each(searched.distance)[:, :points].flatten(0, 1)
    return AtPoints(local, right, change, distance, noise)


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
    starts = probe.each(row_space.coordinates(probe.starts().flatten(0, 1)))
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
