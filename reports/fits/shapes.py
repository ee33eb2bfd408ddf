"""The shapes of a curve against size, fitted to some curves and carried over to others.

In each, the curves of a kind share a shape and have a level of their own. With z = log(p/(n·d)):

- *power law*: log y = level + b·z
- *logarithm*: log y = level + log(1 + c·z'), that is y = A + B·ln p; z' = z less its smallest value
- *levelling*: log y = level + b·min(z, knee)
- *broken*: log y = level + b₁·min(z, knee) + b₂·max(z − knee, 0)

Objective: least squares, every cell the same weight; knee and steepness over a grid. What depends
on sizes alone is computed once, so y may have leading dimensions, (..., K): many draws at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

POWER, LOGARITHM, LEVELLING, BROKEN = "power law", "logarithm", "levelling", "broken"

RATIOS = np.concatenate([-np.geomspace(8, 0.01, 80), [0.0], np.geomspace(0.01, 8, 80)])
"""Logarithms of the ratio between the values at the largest and at the smallest z' that A + B·ln p
tries: rising, flat and falling."""
KNEES = 80
"""Knees that are tried."""
SIZES_EACH_SIDE = 2
"""Sizes that must lie on each side of a knee, over all curves: fewer do not show a slope."""

SINGULAR = 1e-9
"""Smallest share of the largest direction's square that counts as varying."""


class Fitted(NamedTuple):
    """The best place of a shape on its grid (..., C), and its coefficients there (..., C, m), for
    each of C sets of curves."""

    place: np.ndarray
    coefficients: np.ndarray


class Products(NamedTuple):
    """Cross-products of y with the features of one form, for each of C curves."""

    vector: np.ndarray
    """(..., C, G, m) features with y."""
    square: np.ndarray
    """(..., C) y with y."""


class Shape:
    """One form over the cells of several curves, for every place on its grid of G knees or
    ratios.

    Every curve is centred, because it has a level of its own. So the products of some curves are
    the sum of theirs, and a curve is left out by subtraction.
    """

    def __init__(self, form: str, curves: Sequence[np.ndarray], knees: np.ndarray):
        """curves: z of each curve's cells, (K,) each."""
        self.form = form
        z_of_all = np.concatenate(curves)
        ends = float(z_of_all.min()), float(z_of_all.max())
        features = [_features(form, z, ends, knees) for z in curves]
        self.features = [own - own.mean(axis=1, keepdims=True) for own in features]
        """Of each curve, (G, K, m)."""
        self.matrix = np.array([x.transpose(0, 2, 1) @ x for x in self.features])
        """(C, G, m, m) features with features."""
        self.others = self.matrix.sum(0) - self.matrix
        self._inverse_of_others = self._inverse(self.others)

    def products(self, y: Sequence[np.ndarray]) -> Products:
        """Return the products with y, (..., K) of each curve."""
        vectors, squares = [], []
        for x, own in zip(self.features, y, strict=True):
            centred = own - own.mean(-1, keepdims=True)
            vectors.append(np.einsum("...k,gkm->...gm", centred, x))
            squares.append((centred**2).sum(-1))
        return Products(np.stack(vectors, -3), np.stack(squares, -1))

    def fit(self, products: Products) -> Fitted:
        """Fit the shape to all curves together; C is 1."""
        matrix = self.matrix.sum(0)[None]
        vector = products.vector.sum(-3)[..., None, :, :]
        return self._best(matrix, self._inverse(matrix), vector)

    def fit_others(self, products: Products) -> Fitted:
        """Fit the shape, for each curve, to all curves but that one."""
        whole = products.vector.sum(-3)[..., None, :, :]
        return self._best(self.others, self._inverse_of_others, whole - products.vector)

    def squared_error(self, products: Products, fitted: Fitted) -> np.ndarray:
        """Return each curve's squared error (..., C) under the shape that is fitted for it."""
        place, coefficients = fitted
        each = np.arange(place.shape[-1])
        vector = np.take_along_axis(products.vector, place[..., None, None], axis=-2)[..., 0, :]
        along = (coefficients * vector).sum(-1)
        matrix = self.matrix[each, place]
        size = np.einsum("...i,...ij,...j->...", coefficients, matrix, coefficients)
        return np.maximum(products.square - 2 * along + size, 0.0)

    def predicted(self, curve: int, fitted: Fitted) -> np.ndarray:
        """Return a curve's values (..., K) less their mean under the shape fitted for it."""
        place, coefficients = fitted
        features = self.features[curve][place[..., curve]]
        return (features * coefficients[..., curve, None, :]).sum(-1)

    def _inverse(self, matrix: np.ndarray) -> np.ndarray | None:
        """Return the inverse; None where the coefficients are not free but 1. A direction in which
        the cells do not vary gets the coefficient 0."""
        if self.form == LOGARITHM:
            return None
        return np.linalg.pinv(matrix, rcond=SINGULAR, hermitian=True)

    def _best(self, matrix: np.ndarray, inverse: np.ndarray | None, vector: np.ndarray) -> Fitted:
        """Return the place of the least squared error for each set of curves."""
        if inverse is None:
            coefficients = np.ones(vector.shape)
        else:
            coefficients = np.einsum("cgij,...cgj->...cgi", inverse, vector)
        explained = 2 * (coefficients * vector).sum(-1)
        explained -= np.einsum("...i,...ij,...j->...", coefficients, matrix, coefficients)
        place = explained.argmax(-1)
        chosen = np.take_along_axis(coefficients, place[..., None, None], axis=-2)[..., 0, :]
        return Fitted(place, chosen)


def knees_of(curves: Sequence[np.ndarray]) -> np.ndarray:
    """Return the places, as z, at which a knee is looked for; none where there are too few sizes.
    They lie much closer than sizes do: a levelling form whose knee is misplaced would look like a
    broken one."""
    z = np.unique(np.concatenate(curves))
    inner = z[SIZES_EACH_SIDE - 1 : len(z) - SIZES_EACH_SIDE + 1]
    return np.linspace(inner[0], inner[-1], KNEES) if len(inner) > 1 else np.empty(0)


def _features(form: str, z: np.ndarray, ends: tuple[float, float], knees: np.ndarray) -> np.ndarray:
    """Return a form's features of one curve, (G, K, m). ends: smallest and largest z of all
    curves."""
    if form == POWER:
        return z[None, :, None]
    if form == LOGARITHM:
        first, last = ends
        share = (z - first) / (last - first)
        return np.log1p(np.expm1(RATIOS)[:, None] * share)[:, :, None]

    below = np.minimum(z, knees[:, None])
    if form == LEVELLING:
        return below[:, :, None]
    return np.stack([below, np.maximum(z - knees[:, None], 0.0)], axis=2)
