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

BLOCK = 4_000_000
"""Distances that are held at once."""


def radius_ceiling(x: np.ndarray, y: np.ndarray, give_up: int, sphere: bool = False) -> float:
    """Return the supremum of the radii at which at most `give_up` points must be given up: a length
    in R^d, or with `sphere` a chord. Infinite where no radius needs more, as with one label.

    x: (n, *shape). y: (n,) labels.
    """
    points = x.reshape(len(x), -1).astype(np.float64)
    two_classes = len(np.unique(y)) == 2

    def needed(one: np.ndarray, other: np.ndarray) -> float:
        """Return how many points at least these pairs force to be given up."""
        rows, columns = one, other
        if not two_classes:
            rows, columns = np.r_[one, other], np.r_[other, one]
        edges = coo_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(len(x), len(x)))
        matched = maximum_bipartite_matching(csr_matrix(edges), perm_type="column")
        found = int((matched >= 0).sum())
        return found if two_classes else found / 2

    # Few pairs decide, so begin with few.
    most = 4 * (give_up + 1)
    one, other, apart = _nearest_pairs(points, y, most)
    while needed(one, other) <= give_up:
        if len(apart) < most:
            return math.inf  # these are all pairs
        most *= 4
        one, other, apart = _nearest_pairs(points, y, most)

    order = np.argsort(apart, kind="stable")
    one, other, apart = one[order], other[order], apart[order]
    enough = np.searchsorted(apart, np.unique(apart), side="right")  # pairs up to each distance

    # The distance at `high` is too far, that at `low` is not.
    low, high = -1, len(enough) - 1
    while high - low > 1:
        middle = (low + high) // 2
        pairs = int(enough[middle])
        if needed(one[:pairs], other[:pairs]) > give_up:
            high = middle
        else:
            low = middle
    distance = float(apart[enough[high] - 1])
    return _chord(distance) if sphere else distance / 2


def _nearest_pairs(
    points: np.ndarray, y: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the `most` nearest pairs of points of different labels, with all that are as near as
    the last of them, (M,) and (M,), and their distances (M,); fewer where there are fewer. With two
    classes the first of a pair always has the first label.

    Distances are made block by block, and a block's pairs that are too far are dropped at once.
    """
    kept = [np.empty(0, int), np.empty(0, int), np.empty(0)]
    squares = (points**2).sum(1)
    farthest = math.inf
    for label in np.unique(y):
        later = np.flatnonzero(y > label)
        own = np.flatnonzero(y == label)
        for rows in np.array_split(own, math.ceil(len(own) * max(len(later), 1) / BLOCK)):
            products = squares[rows][:, None] + squares[later] - 2 * points[rows] @ points[later].T
            apart = np.sqrt(np.maximum(products, 0))
            row, column = np.nonzero(apart <= farthest)
            found = (rows[row], later[column], apart[row, column])
            kept = [np.concatenate(pair) for pair in zip(kept, found, strict=True)]

            if len(kept[2]) > most:
                farthest = np.partition(kept[2], most - 1)[most - 1]
                near = kept[2] <= farthest
                kept = [values[near] for values in kept]
    return kept[0], kept[1], kept[2]


def _chord(distance: float) -> float:
    """Return the chord r of caps that touch when their centres are `distance` apart: half the
    angle, so r·sqrt(4 − r²) = distance."""
    return 2 * math.sin(math.asin(min(distance / 2, 1.0)) / 2)
