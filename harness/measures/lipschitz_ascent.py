"""Find each model's largest slope: choose where the ascent of `lipschitz_lower.py` starts, and take
the best pair that it reaches."""

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.measures.jacobian import Singular
from harness.measures.lipschitz_lower import Lower, Pairs, departures, steepest_pairs, summary
from harness.measures.points import Probe
from harness.training.stack import Model

POINT_SETS = {"held_out": "x", "train": "train", "off_data": "off_data"}
"""Sets of points at which the Jacobian's norm is taken, as columns name them, and the attribute of
`Draw` that holds each."""

STEEP, PAIRS, SEGMENTS = 14, 10, 8
"""The starts of the ascent to the steepest pair: this many of the steepest points of all sets, this
many random pairs of training points, and on this many segments between training points the steepest
of PLACES equal parts."""
PLACES = 32
"""Random points miss what is flat around every point and steep in between: on a network of caps
around its points (Shmalo 2026, arXiv 2607.07778) no point of a draw has a slope."""


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

    # across the steepest parts of segments between training points
    part_u, part_v = steepest_parts(probe, model)
    parts = (part_u + part_v) / 2
    part_u = probe.row_space.coordinates(part_u.flatten(0, 1))
    part_v = probe.row_space.coordinates(part_v.flatten(0, 1))

    u = _side_by_side(probe, steep_u, train_u, part_u)
    v = _side_by_side(probe, steep_v, train_v, part_v)
    pairs = steepest_pairs(model, u, v, probe.on_sphere)

    middle = torch.cat([steep_points, (train + partners) / 2, parts], dim=1).flatten(0, 1)
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


@torch.no_grad()
def steepest_parts(probe: Probe, model: Model) -> tuple[Tensor, Tensor]:
    """Return both ends, (M, SEGMENTS, *input_shape), of the steepest of the PLACES equal parts of
    each segment between two training points. On a sphere the ends lie on it.

    `model` takes coordinates of `probe.row_space`.
    """
    begin = torch.stack([draw.train[-SEGMENTS:] for draw in probe.draws])
    end = torch.stack([draw.partners[-SEGMENTS:] for draw in probe.draws])
    share = torch.linspace(0, 1, PLACES + 1, device=begin.device)
    share = share.reshape(-1, *[1] * (begin.dim() - 2))
    places = torch.lerp(begin[:, :, None], end[:, :, None], share)
    if probe.on_sphere:
        lengths = begin.norm(dim=-1, keepdim=True)[:, :, None]
        places = F.normalize(places, dim=-1) * lengths

    outputs = model(probe.row_space.coordinates(places.flatten(0, 2)))
    outputs = outputs.reshape(*places.shape[:3], -1)
    change = outputs.diff(dim=2).norm(dim=-1)
    apart = places.diff(dim=2).flatten(3).norm(dim=-1)
    steepest = (change / apart.clamp(min=1e-30)).argmax(dim=2)

    models = torch.arange(len(begin), device=begin.device)[:, None]
    segments = torch.arange(begin.shape[1], device=begin.device)[None]
    return places[models, segments, steepest], places[models, segments, steepest + 1]


def _side_by_side(probe: Probe, *batches: Tensor) -> Tensor:
    """Join flat batches, (M·A, …), (M·B, …), …, so that those of one model lie together."""
    return torch.cat([probe.each(batch) for batch in batches], dim=1).flatten(0, 1)
