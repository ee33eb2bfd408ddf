"""Lower estimates of a Lipschitz constant: difference quotients ‖f(u) − f(v)‖ / ‖u − v‖ made large
by gradient ascent.

Whatever pair is found, the constant is at least its quotient. The largest ‖J‖₂ over sampled points,
the usual figure, understates it by up to a half on early-stopped wide networks: the steepest place
lies between the points. So the ascent begins at the steepest points known, with u and v a little
apart along the steepest direction, and at pairs of training points; where it ends, the Jacobian is
looked at again.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.measures.jacobian import local_norms
from harness.training.stack import Model

STEPS = 30
FIRST_STEP, LAST_STEP = 0.7, 0.02
"""Length of a step over ‖u − v‖, falling along a cosine. A pair has to get out of the data to be
steep: with a first step of 0.2 the largest quotient is 2.5 % smaller on spheres, 7 % on CNNs, 10
% on MLPs; with 1.0 it is up to 2 % larger, and rounding decides what is found on tiny networks."""
APART = 0.1
"""First ‖u − v‖ of the pairs that begin at steep points, in data units."""
LEAST_APART = 0.02
LEAST_CHANGE = 2e-3
"""Of the outputs themselves. Nearer pairs, and smaller changes, would measure float32's
rounding, 1e-7 of the outputs."""
AGREE = 0.05
EXCEEDS = 1.001
"""A Jacobian's norm beats a pair's quotient from this factor on; below it is the same slope and
rounding."""


class Pairs(NamedTuple):
    """Per point of departure: the largest quotient seen from it (B,), ‖u − v‖ there (B,), 0
    where the Jacobian in the middle was larger, and that middle (B, *input_shape)."""

    quotient: Tensor
    distance: Tensor
    middle: Tensor


class Lower(NamedTuple):
    """Of one model: the best over its restarts, the distance of its pair, the share of restarts
    that ended within AGREE of it, and where it is."""

    largest: float
    distance: float
    agreement: float
    at: Tensor


def steepest_pairs(model: Model, u: Tensor, v: Tensor, on_sphere: bool) -> Pairs:
    """Ascend log ‖f(u) − f(v)‖ − log ‖u − v‖ from pairs (B, *input_shape); on the sphere around 0,
    both stay there.

    On the sphere distances are chords: a quotient over a chord tends to the tangential gradient as
    the pair closes.
    """
    radius = u.flatten(1).norm(dim=1) if on_sphere else None

    def placed(z: Tensor) -> Tensor:
        return (
            z
            if radius is None
            else F.normalize(z.flatten(1), dim=1).mul(radius[:, None]).reshape(z.shape)
        )

    u, v = placed(u), placed(v)
    best, distance, ends = u.new_zeros(len(u)), u.new_zeros(len(u)), u
    for k in range(STEPS + 1):
        pair = torch.cat([u, v]).detach().requires_grad_(True)
        a, b = model(_interleaved(pair)).reshape(len(u), 2, -1).unbind(1)
        change, apart = (
            (a - b).norm(dim=1),
            (pair[: len(u)] - pair[len(u) :]).flatten(1).norm(dim=1),
        )
        with torch.no_grad():
            heard = change > LEAST_CHANGE * torch.maximum(a.abs().amax(dim=1), b.abs().amax(dim=1))
            better = (change / apart > best) & (apart >= 0.9 * LEAST_APART) & heard
            best, distance = (
                torch.where(better, change / apart, best),
                torch.where(better, apart, distance),
            )
            ends = torch.where(_column(better, u), (u + v) / 2, ends)
        if k == STEPS:
            break
        (gradient,) = torch.autograd.grad((change.clamp(min=1e-20).log() - apart.log()).sum(), pair)
        schedule = LAST_STEP + (FIRST_STEP - LAST_STEP) * (1 + math.cos(math.pi * k / STEPS)) / 2
        with torch.no_grad():
            step = F.normalize(gradient.flatten(1), dim=1).reshape(pair.shape) * _column(
                (schedule * apart).repeat(2), pair
            )
            u, v = (placed(z) for z in _at_least_apart(*(pair + step).chunk(2)))
    at_end = local_norms(model, placed(ends), None, on_sphere).outputs.norm
    local = at_end > EXCEEDS * best
    return Pairs(
        torch.where(local, at_end, best).detach(),
        torch.where(local, 0.0, distance).detach(),
        placed(ends).detach(),
    )


def departures(x: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs (u, v) APART around each x (B, *input_shape) along unit vectors (B, D)."""
    half = APART / 2 * direction.reshape(x.shape)
    return x + half, x - half


def summary(found: Pairs, steepest: float, at: Tensor) -> Lower:
    """The best of one model's restarts, or the largest Jacobian norm known, `steepest` at the
    point `at`, where none exceeded it."""
    largest, best = found.quotient.max(dim=0)
    agreement = float((found.quotient >= (1 - AGREE) * largest).float().mean())
    if EXCEEDS * largest > steepest:
        return Lower(
            max(float(largest), steepest),
            float(found.distance[best]),
            agreement,
            found.middle[best],
        )
    return Lower(steepest, 0.0, agreement, at)


def _interleaved(pair: Tensor) -> Tensor:
    """(u₁ … u_B, v₁ … v_B) as (u₁, v₁, u₂, v₂, …), which keeps what belongs to one model
    together."""
    return torch.stack(pair.chunk(2), dim=1).flatten(0, 1)


def _at_least_apart(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The same pair, moved apart to LEAST_APART where it is nearer."""
    middle, half = (u + v) / 2, (u - v) / 2
    length = half.flatten(1).norm(dim=1)
    half = half * _column(
        torch.where(length > 0, (LEAST_APART / 2 / length).clamp(min=1.0), 1.0), half
    )
    return middle + half, middle - half


def _column(v: Tensor, like: Tensor) -> Tensor:
    return v.reshape(-1, *[1] * (like.dim() - 1))
