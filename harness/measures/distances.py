"""Distances between inputs, and the nearer of two."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def nearer(x: Tensor, a: Tensor, b: Tensor, distance: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return for each point the one of a and b nearer to x; NaN counts as infinitely far."""
    return torch.where(column(distance(x, a) < distance(x, b), x), a, b)


def l2_distance(x: Tensor, z: Tensor) -> Tensor:
    """Return ‖z − x‖ (B,), +inf where z is NaN."""
    return (z - x).flatten(1).norm(dim=1).nan_to_num(nan=math.inf)


def factor(v: Tensor, length: Tensor) -> Tensor:
    """Return the factors (B, 1, …) that give each v its length; a zero vector stays zero."""
    return column(length / v.flatten(1).norm(dim=1).clamp(min=1e-30), v)


def column(v: Tensor, like: Tensor) -> Tensor:
    """Return (B,) as (B, 1, …), to multiply into `like`."""
    return v.reshape(-1, *[1] * (like.dim() - 1))
