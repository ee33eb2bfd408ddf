"""Estimate the effective dimension of a set of inputs, in three ways.

*Participation ratio* of PCA, (Σλ)²/Σλ² over the eigenvalues λ of the covariance: how many straight
directions carry the variance. A line that winds through a room has three dimensions in this sense.
N points with D equal variances give D/(1 + D/N).

*TwoNN* (Facco et al. 2017, arXiv 1803.06992) and the *maximum likelihood estimate* (Levina and
Bickel 2004, "Maximum likelihood estimation of intrinsic dimension", NIPS 17; pointwise estimates
averaged as inverses, the correction by MacKay and Ghahramani 2005) ask how the number of neighbours
grows with distance, so the winding line has one dimension. TwoNN uses the two nearest neighbours,
the maximum likelihood estimate NEIGHBOURS of them. Both come from the library scikit-dimension.

The last two assume a constant density among neighbours, which in many dimensions takes more points
than anybody has. So they depend on N, and fall short above about ten dimensions. With N = 1000
points they give 13 and 12 on the sphere S¹⁵ and 37 and 32 on S⁶³. So compare only estimates from
equally many points.
"""

import math
from typing import NamedTuple

import numpy as np
from torch import Tensor

from harness.measures.geometry import centred, distances

NEIGHBOURS = 20
"""Levina and Bickel take 10 to 20. Below 10 the estimate varies; more neighbours reach beyond the
region of constant density."""
SUBSAMPLES = 4
DISCARDED = 0.1
"""Share of the largest distance ratios that TwoNN leaves out of its fit, from the paper."""
BEYOND_ALL = 1e6
"""An estimate above this is one over a rounding error."""


class Dimension(NamedTuple):
    """Estimates from all points, and their spreads.

    An estimate is NaN for identical points. TwoNN and MLE are NaN also where at most NEIGHBOURS
    points are distinct, or all are equally far from each other.

    A spread is the standard deviation of the estimate over SUBSAMPLES disjoint random subsamples,
    NaN where one of them has no estimate. Four subsamples give the spread itself to within 40 %.
    Each subsample has a quarter of the points, so the estimate from all points varies about half as
    much. The spread does not show the bias above, which the subsamples share.
    """

    d_points: int
    """Inputs given, copies included."""
    d_participation: float
    d_participation_spread: float
    d_twonn: float
    d_twonn_spread: float
    d_mle: float
    d_mle_spread: float


def dimension(x: Tensor | np.ndarray) -> Dimension:
    """Return the effective dimension of the inputs x, (N, *shape), whatever their order. The same x
    gives the same numbers."""
    points = centred(x)
    apart = distances(x)
    whole = _estimates(points, apart)

    shuffled = np.random.default_rng(0).permutation(len(points))
    parts = [part for part in np.array_split(shuffled, SUBSAMPLES) if len(part)]
    of_parts = [_estimates(points[part], apart[np.ix_(part, part)]) for part in parts]
    spread = [math.nan] * len(whole)
    if len(parts) > 1:
        spread = np.array(of_parts).std(axis=0, ddof=1).tolist()
    return Dimension(len(points), whole[0], spread[0], whole[1], spread[1], whole[2], spread[2])


def _estimates(points: np.ndarray, apart: np.ndarray) -> tuple[float, float, float]:
    """Return participation ratio, TwoNN and MLE of points (N, D) and their distances (N, N)."""
    return (participation_ratio(points), *neighbour_estimates(apart))


def participation_ratio(points: np.ndarray) -> float:
    """Return (Σλ)²/Σλ² over the eigenvalues λ of the covariance of points (N, D); NaN for identical
    points."""
    z = centred(points)
    products = z.T @ z if z.shape[1] < len(z) else z @ z.T  # the same eigenvalues but for zeros
    if not products.any():
        return math.nan
    return float(np.trace(products) ** 2 / np.square(products).sum())


def neighbour_estimates(apart: np.ndarray) -> tuple[float, float]:
    """Return TwoNN and MLE of the points with the given distances (N, N).

    Of identical points one is kept, because a copy shows no direction.
    """
    copy = np.tril(apart == 0, -1).any(axis=1)
    distinct = apart[np.ix_(~copy, ~copy)]
    if len(distinct) <= NEIGHBOURS:
        return math.nan, math.nan

    # here, because the import takes over a second and most data sets are found in the cache
    from skdim.id import MLE, TwoNN

    with_itself = np.partition(distinct, NEIGHBOURS, axis=1)[:, : NEIGHBOURS + 1]
    nearest = np.sort(with_itself, axis=1)[:, 1:]
    with np.errstate(divide="ignore"):  # where all neighbours are equally far
        twonn = TwoNN(discard_fraction=DISCARDED, dist=True).fit(nearest[:, :2])
        mle = MLE().fit(
            nearest, precomputed_knn_arrays=(nearest, None), n_neighbors=NEIGHBOURS, comb="mle"
        )
    return _or_nan(float(twonn.dimension_)), _or_nan(float(mle.dimension_))


def _or_nan(estimate: float) -> float:
    """Return the estimate, or NaN where all neighbours are equally far: the MLE is then infinite
    but for rounding, and TwoNN's fit may give 0."""
    return estimate if 0 < estimate < BEYOND_ALL else math.nan
