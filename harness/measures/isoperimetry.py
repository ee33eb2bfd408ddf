"""Estimate from below how far a data set's inputs are from isoperimetric.

The law asks that P(|f(x) − E f| ≥ t) ≤ 2·exp(−d·t²/(2·c·L²)) for every L-Lipschitz f (Bubeck &
Sellke 2021, section 1.2). The projection on a unit vector u is 1-Lipschitz, so every u and t give a
lower bound c ≥ d·t²/(2·ln(2/P(|⟨u, x − mean⟩| ≥ t))), and the variance λ along u gives
c ≥ d·λ/3.39, because ∫ 2t·min(1, 2·exp(−d·t²/(2c))) dt = (2 + 2·ln 2)·c/d.

Inputs may come from a mixture, each part of which must be isoperimetric with this c. Classes are
such parts where inputs have any: the same bound holds for the deviation of an input from the mean
of its own class, over all classes together.

On the sphere c = 1 is a theorem, and the estimate is .5 to .8. Other functions than projections may
need a larger c, so a small figure proves nothing.
"""

import math
from typing import NamedTuple

import numpy as np
from torch import Tensor

from harness.measures.geometry import centred

DIRECTIONS = 10
BEYOND = 5
"""Least number of inputs beyond t. With fewer, the share beyond t is mostly chance."""
OF_CLASS = 10
"""Least number of inputs of a class in each half. The mean of fewer lies too near to them."""


class Isoperimetry(NamedTuple):
    """Lower estimates of c, in data units; NaN for identical inputs and for fewer than 4."""

    isoperimetry_c: float
    """From the tails along the DIRECTIONS leading directions."""
    isoperimetry_c_variance: float
    """From the variance along the leading direction alone."""


def isoperimetry(x: Tensor | np.ndarray, unit: float) -> Isoperimetry:
    """Return lower estimates of c for the inputs x, (N, *shape), whose data unit is `unit`.

    One half of the inputs gives the directions and the other half the projections, both ways:
    directions chosen on the points they are judged by would spread too far in many dimensions. The
    figures are means over the two ways.
    """
    points = centred(x)
    if len(points) < 4 or unit == 0 or not points.any():
        return Isoperimetry(math.nan, math.nan)
    shuffled = np.random.default_rng(0).permutation(len(points))
    half = len(points) // 2
    one, other = points[shuffled[:half]] / unit, points[shuffled[half:]] / unit
    ways = [_of_halves(one, other), _of_halves(other, one)]
    tails, variance = np.mean(ways, axis=0)
    return Isoperimetry(float(tails), float(variance))


def within_classes(x: Tensor | np.ndarray, classes: Tensor | np.ndarray, unit: float) -> float:
    """Return the lower estimate of c within classes, from the tails. x: (N, *shape); classes: (N,)
    whole numbers; unit: the data unit of the whole data set.

    Inputs of classes with fewer than 2·OF_CLASS of them are left out. NaN where none is left, for
    identical inputs, and for a single class, where nothing is told apart.
    """
    points = centred(x)
    labels = np.asarray(classes)
    order = np.random.default_rng(0).permutation(len(points))
    halves: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for label in np.unique(labels):
        own = order[labels[order] == label]
        if len(own) < 2 * OF_CLASS:
            continue
        for half, members in zip(halves, np.array_split(own, 2), strict=True):
            half.append(_around_own_mean(points[members]))
    if unit == 0 or len(halves[0]) < 2 or not points.any():
        return math.nan

    one, other = (np.concatenate(half) / unit for half in halves)
    return float(np.mean([_of_halves(one, other)[0], _of_halves(other, one)[0]]))


def _around_own_mean(points: np.ndarray) -> np.ndarray:
    """Return the deviations of m points from their mean, scaled to the variance around the true
    mean: the points' own mean takes one of m degrees of freedom."""
    return (points - points.mean(0)) * math.sqrt(len(points) / (len(points) - 1))


def _of_halves(directions_from: np.ndarray, judged: np.ndarray) -> tuple[float, float]:
    """Return c from the tails and from the variance of `judged` (N, d), along the leading
    directions of `directions_from` (M, d)."""
    d = judged.shape[1]
    leading = np.linalg.svd(centred(directions_from), full_matrices=False)[2][:DIRECTIONS]
    along = centred(judged) @ leading.T
    lengths = -np.sort(-np.abs(along), axis=0)[BEYOND - 1 :]
    share = np.arange(BEYOND, len(along) + 1)[:, None] / len(along)
    tails = d * lengths**2 / (2 * np.log(2 / share))
    variance = d * float(np.mean(along[:, 0] ** 2)) / (2 + 2 * math.log(2))
    return float(tails.max(initial=0.0)), variance
