"""A fit that needs no training: caps on the sphere (Shmalo 2026, arXiv 2607.07778).

One neuron holds a cap of half-angle θ around each point, so the net has width n and
p = n·(d + 2) + 1. Caps are disjoint where θ is at most half the smallest angle between two points.
Straight inwards, the nearest wrong answer then lies 1 − cos θ away.
"""

import math
from typing import NamedTuple

from scipy.special import betaincinv


class Caps(NamedTuple):
    """The construction for n points in d dimensions: its size and its training radius."""

    p: int
    radius: float


def caps(n: int, d: int) -> Caps:
    """Return the construction for n ≥ 3 uniform points on the unit sphere of R^d, d ≥ 2.

    The half-angle is half the median of the smallest angle φ between two of them. A pair is nearer
    than φ ≤ π/2 with probability ½·I(sin²φ; (d − 1)/2, ½), I the regularised incomplete beta
    function, and pairs are taken as independent.
    """
    pairs = n * (n - 1) / 2
    share = -math.expm1(-math.log(2) / pairs)
    sine2 = float(betaincinv((d - 1) / 2, 0.5, 2 * share))
    half_angle = math.asin(math.sqrt(sine2)) / 2
    return Caps(n * (d + 2) + 1, 1 - math.cos(half_angle))
