"""The ceiling r∞ on training radii that holds at any size: how far apart points of different labels
lie.

    ceiling = radius_ceiling(x, y, give_up=n // 4)

A classifier whose robust error at radius r is at most R*/2 is right in the whole ball around all
points but at most n·R*/2, which it gives up. Two such balls of different labels do not meet. So
points of different labels exclude one another within 2r, or, for caps of chord r on the sphere,
within r·sqrt(4 − r²). Of each such pair at least one point is given up.

With two classes the least such set has as many points as the largest matching (König 1931), and r∞
is exact: the nearest-neighbour classifier of the points kept reaches it. With more classes half the
largest matching of the bipartite double cover bounds that number from below, so the figure is an
upper bound on r∞.
"""

import math

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching


def radius_ceiling(x: np.ndarray, y: np.ndarray, give_up: int, sphere: bool = False) -> float:
    """Return the supremum of the radii at which at most `give_up` points must be given up: a length
    in R^d, or with `sphere` a chord. Infinite where no radius needs more, as with one label.

    x: (n, *shape). y: (n,) labels.
    """
    points = x.reshape(len(x), -1).astype(np.float64)
    one, other, apart = _pairs(points, y)
    if not len(apart):
        return math.inf
    two_classes = len(np.unique(y)) == 2

    order = np.argsort(apart, kind="stable")
    one, other, apart = one[order], other[order], apart[order]
    enough = np.searchsorted(apart, np.unique(apart), side="right")  # pairs up to each distance

    def needed(pairs: int) -> float:
        """Return how many points at least the nearest `pairs` pairs force to be given up."""
        rows, columns = one[:pairs], other[:pairs]
        if not two_classes:
            rows, columns = np.r_[rows, columns], np.r_[columns, rows]
        edges = coo_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(len(x), len(x)))
        matched = maximum_bipartite_matching(csr_matrix(edges), perm_type="column")
        found = int((matched >= 0).sum())
        return found if two_classes else found / 2

    # The distance at `high` is too far, that at `low` is not. Few pairs decide, so begin with few.
    last = len(enough) - 1
    low, high = -1, min(int(np.searchsorted(enough, 2 * give_up + 1)), last)
    while needed(int(enough[high])) <= give_up:
        if high == last:
            return math.inf
        low, high = high, min(2 * high + 1, last)

    while high - low > 1:
        middle = (low + high) // 2
        if needed(int(enough[middle])) > give_up:
            high = middle
        else:
            low = middle
    distance = float(apart[enough[high] - 1])
    return _chord(distance) if sphere else distance / 2


def _pairs(points: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs of points of different labels, (M,) and (M,), and their distances (M,). With
    two classes the first of a pair always has the first label."""
    one, other, apart = [], [], []
    squares = (points**2).sum(1)
    for label in np.unique(y):
        own = np.flatnonzero(y == label)
        later = np.flatnonzero(y > label)
        products = squares[own][:, None] + squares[later] - 2 * points[own] @ points[later].T
        one.append(np.repeat(own, len(later)))
        other.append(np.tile(later, len(own)))
        apart.append(np.sqrt(np.maximum(products, 0)).ravel())
    return np.concatenate(one), np.concatenate(other), np.concatenate(apart)


def _chord(distance: float) -> float:
    """Return the chord r of caps that touch when their centres are `distance` apart: half the
    angle, so r·sqrt(4 − r²) = distance."""
    return 2 * math.sin(math.asin(min(distance / 2, 1.0)) / 2)
