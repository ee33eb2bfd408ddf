"""Estimate a Lipschitz constant from below, by difference quotients ‖f(u) − f(v)‖ / ‖u − v‖ that
gradient ascent makes large.

The constant is at least the quotient of any pair. The largest ‖J‖₂ over sampled points, the usual
figure, understates the constant by up to a half on early-stopped wide networks: the steepest place
lies between the points. So the ascent starts at the steepest points known, with u and v a little
apart along the steepest direction, and at pairs of training points. The steepest pair that each
start leads to is then halved again and again, towards the steeper half: a steep ramp between two
flats has no gradient that leads to it. The norm of the Jacobian is taken in the middle of what is
left.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.measures.distances import column, l2_distance
from harness.measures.jacobian import local_norms
from harness.training.stack import Model

STEPS = 30
FIRST_STEP, LAST_STEP = 0.7, 0.02
"""Length of a step over ‖u − v‖, falling along a cosine. A pair has to leave the data to be steep:
with a first step of 0.2 the largest quotient is 2.5 % smaller on spheres, 7 % on CNNs, 10 % on
MLPs. With 1.0 it is up to 2 % larger, and rounding decides the result on tiny networks."""
APART = 0.1
"""Initial ‖u − v‖ of the pairs that start at steep points, in data units."""
LEAST_APART = 0.02
LEAST_CHANGE = 2e-3
"""Least ‖f(u) − f(v)‖ that counts, relative to the outputs' size. Nearer pairs and smaller changes
would measure the rounding of float32, 1e-7 of the outputs."""
HALVINGS = 12
LEAST_HALF = 1e-4
"""Number of times that a pair is halved, as long as it is wider than this, in data units."""
AGREE = 0.05
EXCEEDS = 1.001
"""Factor by which a Jacobian's norm must exceed a pair's quotient to replace it. Below it, both are
the same slope up to rounding."""


class Pairs(NamedTuple):
    """The steepest pair that the ascent met, for each pair that it started from."""

    quotient: Tensor
    """(B,) the largest quotient, or the norm of a Jacobian between u and v where that is larger."""
    distance: Tensor
    """(B,) ‖u − v‖ there, 0 where the Jacobian was larger."""
    middle: Tensor
    """(B, *input_shape), the steepest place found between u and v."""


class Lower(NamedTuple):
    """One model's best restart."""

    largest: float
    distance: float
    """‖u − v‖ of its pair."""
    agreement: float
    """Share of restarts that ended within AGREE of the best."""
    at: Tensor
    """The middle of the pair."""


def steepest_pairs(model: Model, u: Tensor, v: Tensor, on_sphere: bool) -> Pairs:
    """Ascend log ‖f(u) − f(v)‖ − log ‖u − v‖ from pairs (B, *input_shape); on the sphere around 0,
    both inputs stay there.

    On the sphere distances are chords: a quotient over a chord tends to the tangential gradient as
    the pair closes.
    """
    radius = u.flatten(1).norm(dim=1) if on_sphere else None

    def placed(z: Tensor) -> Tensor:
        """Put inputs back on the sphere that they came from."""
        if radius is None:
            return z
        return F.normalize(z.flatten(1), dim=1).mul(radius[:, None]).reshape(z.shape)

    u = placed(u)
    v = placed(v)
    best = u.new_zeros(len(u))
    best_u = u
    best_v = v
    for k in range(STEPS + 1):
        pair = torch.cat([u, v]).detach().requires_grad_(True)
        at_u, at_v = model(_interleaved(pair)).reshape(len(u), 2, -1).unbind(1)
        change = (at_u - at_v).norm(dim=1)
        apart = (pair[: len(u)] - pair[len(u) :]).flatten(1).norm(dim=1)

        with torch.no_grad():
            size = torch.maximum(at_u.abs().amax(dim=1), at_v.abs().amax(dim=1))
            above_rounding = (apart >= 0.9 * LEAST_APART) & (change > LEAST_CHANGE * size)
            better = (change / apart > best) & above_rounding
            best = torch.where(better, change / apart, best)
            best_u = torch.where(column(better, u), u, best_u)
            best_v = torch.where(column(better, v), v, best_v)
        if k == STEPS:
            break

        log_quotient = change.clamp(min=1e-20).log() - apart.log()
        (gradient,) = torch.autograd.grad(log_quotient.sum(), pair)
        schedule = LAST_STEP + (FIRST_STEP - LAST_STEP) * (1 + math.cos(math.pi * k / STEPS)) / 2
        with torch.no_grad():
            uphill = F.normalize(gradient.flatten(1), dim=1).reshape(pair.shape)
            step = uphill * column((schedule * apart).repeat(2), pair)
            u, v = _at_least_apart(*(pair + step).chunk(2))
            u = placed(u)
            v = placed(v)

    halved = _halved(model, best_u, best_v, placed)
    middle = placed(halved)
    in_middle = local_norms(model, middle, None, on_sphere).outputs.norm
    steeper = in_middle > EXCEEDS * best
    return Pairs(
        torch.where(steeper, in_middle, best).detach(),
        torch.where(steeper | (best == 0), 0.0, l2_distance(best_u, best_v)).detach(),
        middle.detach(),
    )


@torch.no_grad()
def _halved(model: Model, u: Tensor, v: Tensor, placed: Callable[[Tensor], Tensor]) -> Tensor:
    """Halve pairs (B, *input_shape), each time towards the steeper half, and return the middles of
    what is left.

    `placed` puts the middle of a pair where inputs belong. The quotients of so near pairs are not
    counted, because rounding moves them by up to a per cent: they only lead to the place.
    """
    at_u = model(u).reshape(len(u), -1)
    at_v = model(v).reshape(len(v), -1)
    for _ in range(HALVINGS):
        middle = placed((u + v) / 2)
        at_middle = model(middle).reshape(len(u), -1)
        first = (at_u - at_middle).norm(dim=1) / l2_distance(u, middle).clamp(min=1e-30)
        second = (at_v - at_middle).norm(dim=1) / l2_distance(v, middle).clamp(min=1e-30)

        wide = l2_distance(u, v) > LEAST_HALF
        to_first = wide & (first >= second)
        to_second = wide & (first < second)
        u = torch.where(column(to_second, u), middle, u)
        v = torch.where(column(to_first, v), middle, v)
        at_u = torch.where(to_second[:, None], at_middle, at_u)
        at_v = torch.where(to_first[:, None], at_middle, at_v)
    return (u + v) / 2


def departures(x: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Return pairs (u, v) APART around each x (B, *input_shape) along unit vectors (B, D)."""
    half = APART / 2 * direction.reshape(x.shape)
    return x + half, x - half


def summary(pairs: Pairs, steepest: float, at: Tensor) -> Lower:
    """Return the best of one model's restarts, or the largest Jacobian norm known, `steepest` at
    the point `at`, where no restart exceeds it."""
    largest, best = pairs.quotient.max(dim=0)
    agreement = float((pairs.quotient >= (1 - AGREE) * largest).float().mean())
    if EXCEEDS * largest > steepest:
        return Lower(
            max(float(largest), steepest),
            float(pairs.distance[best]),
            agreement,
            pairs.middle[best],
        )
    return Lower(steepest, 0.0, agreement, at)


def _interleaved(pair: Tensor) -> Tensor:
    """Return (u₁ … u_B, v₁ … v_B) as (u₁, v₁, u₂, v₂, …), so that inputs of one model stay
    together."""
    return torch.stack(pair.chunk(2), dim=1).flatten(0, 1)


def _at_least_apart(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same pair, moved LEAST_APART from each other where it is closer."""
    middle = (u + v) / 2
    half = (u - v) / 2
    length = half.flatten(1).norm(dim=1)
    factor = torch.where(length > 0, (LEAST_APART / 2 / length).clamp(min=1.0), 1.0)
    half = half * column(factor, half)
    return middle + half, middle - half
