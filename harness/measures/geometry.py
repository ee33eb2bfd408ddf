"""Distances between the inputs of a data set: how far apart two of them are, in data units.

Random points of a high-dimensional sphere lie √2 radii apart, not 2 (claim C3): two independent
directions are nearly orthogonal. The distribution says how far that holds for a data set, and what
a change of one data unit amounts to.
"""

import math
from typing import NamedTuple

import numpy as np
from torch import Tensor

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
RESOLUTION = 1e-13
"""Squared distances below this share of the two points' squared lengths count as 0: copies come
out at up to 1e-15 of it, and float32 inputs hardly tell points apart that are nearer."""


class PairDistances(NamedTuple):
    """Of two different inputs, in data units, over all pairs. Two inputs may be copies of each
    other, and are then 0 apart."""

    pair_distance_mean: float
    pair_distance_sd: float
    """Standard deviation over pairs, not of the mean."""
    pair_distance_quantiles: list[float]
    """At QUANTILES, interpolated linearly."""


def pair_distances(x: Tensor | np.ndarray, unit: float) -> PairDistances:
    """Distances of all pairs of the inputs x, (N, *shape), over `unit`. NaN for a single input,
    or where the unit is 0."""
    if len(x) < 2 or unit == 0:
        return PairDistances(math.nan, math.nan, [math.nan] * len(QUANTILES))
    pairs = distances(x)[np.triu_indices(len(x), 1)] / unit
    return PairDistances(
        float(pairs.mean()), float(pairs.std()), np.quantile(pairs, QUANTILES).tolist()
    )


def distances(x: Tensor | np.ndarray) -> np.ndarray:
    """(N, N) l2 distances between the inputs x, (N, *shape), in float64."""
    z = centred(x)
    products = z @ z.T
    lengths = np.diag(products)[:, None] + np.diag(products)
    squares = lengths - 2 * products
    return np.sqrt(np.where(squares > RESOLUTION * lengths, squares, 0.0))


def centred(x: Tensor | np.ndarray) -> np.ndarray:
    """(N, numbers in one input) x − mean x in float64."""
    array = x.double().cpu().numpy() if isinstance(x, Tensor) else x.astype(np.float64)
    flat = array.reshape(len(x), -1)
    # the mean of equal numbers is rounded; of zeros it is 0, so that copies of one point give zeros
    near = flat - flat[0]
    near -= near.mean(axis=0)
    return near
