"""The law's ceiling on a training radius. Rows hold it, and the report compares it with radii.

    radius_law(p=1000, n=200, d=64, nats=1.0)

For a class of at most exp(nats·p) classifiers and pure ±1 noise, with probability 1 − DELTA (union
bound over the class; a point's ball of radius r has one label, and the two kinds of balls lie 2r
apart; docs/frontier.md):

    r ≤ sqrt((8c/d)·(nats·p/n + 0.56 + ln(2/DELTA)/n))

The formula has a file in this room because no other room is open to both stages.
"""

import math
from typing import Any

NATS_OF_32_BITS = 32 * math.log(2)
"""The most that one weight can hold."""

DELTA = 0.05
"""Probability with which the bound may fail."""

HALF_CHOICES = 0.56
"""ln of the number of ways to choose n/4 of n points, over n."""


def radius_law(p: Any, n: Any, d: Any, nats: float, c: Any = 1.0) -> Any:
    """Return r_law in the units of inputs of dimension d; p, n, d, c: numbers or series.

    c: the isoperimetry constant, 1 on the unit sphere.
    """
    return (8 * c / d * (nats * p / n + HALF_CHOICES + math.log(2 / DELTA) / n)) ** 0.5
