"""Find each model's largest slope: choose where the ascent of `lipschitz_lower.py` starts, and take
the best pair that it reaches."""

import torch
from torch import Tensor

from harness.measures.jacobian import Singular
from harness.measures.lipschitz_lower import Lower, Pairs, departures, steepest_pairs, summary
from harness.measures.points import Probe
from harness.training.stack import Model

POINT_SETS = {"held_out": "x", "train": "train", "off_data": "off_data"}
"""Sets of points at which the Jacobian's norm is taken, as columns name them, and the attribute of
`Draw` that holds each."""

STEEP, PAIRS = 16, 16
"""The starts of the ascent to the steepest pair: this many of the steepest points of all sets, and
this many random pairs of training points."""


def largest_slopes(probe: Probe, model: Model, norms: dict[str, Singular]) -> list[Lower]:
    """Return the largest difference quotient found for each model, which is never below the largest
    norm of its Jacobians.

    `model` takes coordinates of `probe.row_space`. `norms` hold the singular values of its
    Jacobians at each of POINT_SETS.
    """
    x = torch.cat([probe.each(probe.all(POINT_SETS[name])) for name in norms], dim=1)
    norm = torch.cat([probe.each(singular.norm) for singular in norms.values()], dim=1)
    direction = torch.cat([probe.each(singular.direction) for singular in norms.values()], dim=1)

    # around the steepest points, along their steepest directions
    models = torch.arange(probe.models, device=x.device)[:, None]
    steepest = norm.topk(min(STEEP, norm.shape[1]), dim=1).indices
    steep_points = x[models, steepest]
    steep_u, steep_v = departures(
        probe.row_space.coordinates(steep_points.flatten(0, 1)),
        direction[models, steepest].flatten(0, 1),
    )

    # between random training points
    train = torch.stack([draw.train[:PAIRS] for draw in probe.draws])
    partners = torch.stack([draw.partners[:PAIRS] for draw in probe.draws])
    train_u = probe.row_space.coordinates(train.flatten(0, 1))
    train_v = probe.row_space.coordinates(partners.flatten(0, 1))

    u = _side_by_side(probe, steep_u, train_u)
    v = _side_by_side(probe, steep_v, train_v)
    pairs = steepest_pairs(model, u, v, probe.on_sphere)

    middle = torch.cat([steep_points, (train + partners) / 2], dim=1).flatten(0, 1)
    middle = probe.row_space.inputs(middle, pairs.middle)
    quotients = probe.each(pairs.quotient)
    distances = probe.each(pairs.distance)
    middles = probe.each(middle)
    return [
        summary(
            Pairs(quotients[m], distances[m], middles[m]),
            steepest=float(norm[m].max()),
            at=x[m, steepest[m, 0]],
        )
        for m in range(probe.models)
    ]


def _side_by_side(probe: Probe, first: Tensor, second: Tensor) -> Tensor:
    """Join two flat batches, (M·A, …) and (M·B, …), so that those of one model lie together."""
    return torch.cat([probe.each(first), probe.each(second)], dim=1).flatten(0, 1)
