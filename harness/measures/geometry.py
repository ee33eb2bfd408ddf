"""Measure the distances between the inputs of a data set, in data units.

Random points of a high-dimensional sphere lie √2 radii apart, not 2 (claim C3): two independent
directions are nearly orthogonal. The distribution shows how far this holds for a data set, and how
large a change of one data unit is.
"""

import math
from typing import NamedTuple

import numpy as np
from torch import Tensor

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
RESOLUTION = 1e-13
"""Squared distances below this share of the two points' squared lengths count as 0: rounding puts
copies at up to 1e-15 of the lengths, and float32 inputs hardly distinguish nearer points."""


class PairDistances(NamedTuple):
    """Distances over all pairs of inputs, in data units. Identical inputs are 0 apart."""

    pair_distance_mean: float
    pair_distance_sd: float
    """Standard deviation over pairs, not the standard error of the mean."""
    pair_distance_quantiles: list[float]
    """The quantiles at QUANTILES, interpolated linearly."""


def pair_distances(x: Tensor | np.ndarray, unit: float) -> PairDistances:
    """Return the distances of all pairs of the inputs x, (N, *shape), over `unit`. NaN for a single
    input, or where the unit is 0."""
    if len(x) < 2 or unit == 0:
        return PairDistances(math.nan, math.nan, [math.nan] * len(QUANTILES))
    pairs = distances(x)[np.triu_indices(len(x), 1)] / unit
    return PairDistances(
        float(pairs.mean()), float(pairs.std()), np.quantile(pairs, QUANTILES).tolist()
    )


def distances(x: Tensor | np.ndarray) -> np.ndarray:
    """Return the ℓ2 distances (N, N) between the inputs x, (N, *shape), in float64."""
    z = centred(x)
    products = z @ z.T
    lengths = np.diag(products)[:, None] + np.diag(products)
    squares = lengths - 2 * products
    return np.sqrt(np.where(squares > RESOLUTION * lengths, squares, 0.0))


def centred(x: Tensor | np.ndarray) -> np.ndarray:
    """Return x − mean x in float64, (N, numbers in one input)."""
    array = x.double().cpu().numpy() if isinstance(x, Tensor) else x.astype(np.float64)
    flat = array.reshape(len(x), -1)
    # The mean of equal numbers is rounded, that of zeros is not: copies of one point give zeros.
    near = flat - flat[0]
    near -= near.mean(axis=0)
    return near
