"""Least squares on cells that come in curves, with standard errors that hold whatever the cells of
one curve have in common.

Covariance: the bias-reduced linearisation CR2 (Bell & McCaffrey 2002), under the working model of
equal and independent errors. Degrees of freedom of a contrast: Satterthwaite's (Pustejovsky &
Tipton 2018, equation 11), under the working model in which the cells of a curve share a level
besides. With independent errors alone a contrast of n and d, which differ between curves only,
would get the degrees of freedom of the cells inside them. Curves are independent; their cells need
not be.

y may have leading dimensions, (..., K): many simulated data sets at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t

SINGULAR = 1e-9
"""A direction of a curve's cells that the fit follows this closely has no error to judge by."""
MOST_SHARED = 1e6
"""Variance of the levels over that of the cells, where the cells seem to have none."""


class Contrast(NamedTuple):
    """A linear combination of coefficients with its standard error and degrees of freedom, (...)
    each. of_design: the degrees of freedom that independent errors would leave, which depend on
    the cells alone."""

    value: np.ndarray
    error: np.ndarray
    freedom: np.ndarray
    of_design: float

    def half_width(self, level: float) -> np.ndarray:
        """Return half the width (...) of the t interval."""
        return t.ppf((1 + level) / 2, self.freedom) * self.error


class ClusteredFit:
    """A weighted least-squares fit, from which contrasts can be asked."""

    def __init__(
        self, design: np.ndarray, y: np.ndarray, w: np.ndarray, curves: Sequence[np.ndarray]
    ):
        """design: (K, k) of full rank; y: (..., K); w: (K,); curves: the positions of each curve's
        cells."""
        root = np.sqrt(w)
        x = design * root[:, None]
        self.bread = np.linalg.inv(x.T @ x)
        self.coefficients = (y * root) @ x @ self.bread
        residual = y * root - self.coefficients @ x.T

        self.adjusted: list[np.ndarray] = []
        """Of each curve X'A, (k, cells): A is the inverse root of I − H in its cells."""
        self.scores: list[np.ndarray] = []
        """Of each curve X'A·residual, (..., k)."""
        self.designs = [x[own] for own in curves]
        for own in curves:
            values, vectors = np.linalg.eigh(np.eye(len(own)) - x[own] @ self.bread @ x[own].T)
            inverse_root = np.where(values > SINGULAR, np.maximum(values, SINGULAR) ** -0.5, 0.0)
            adjusted = x[own].T @ (vectors * inverse_root) @ vectors.T
            self.adjusted.append(adjusted)
            self.scores.append(residual[..., own] @ adjusted.T)

        self.levels = [root[own] for own in curves]
        """Of each curve what a level adds to its scaled cells, (cells,)."""
        self.level_sums = np.stack([x[own].T @ root[own] for own in curves])
        """(C, k)"""
        self.shared = self._shared(residual, curves)
        """Variance of the curves' levels over that of their cells, (...)."""

    def contrast(self, of: Sequence[float]) -> Contrast:
        """Return Σ ofᵢ·coefficientᵢ with its standard error and degrees of freedom."""
        combination = np.asarray(of, float)
        direction = self.bread @ combination
        variance = sum((score @ direction) ** 2 for score in self.scores)

        # The variance estimate is Σ (v_g·M·errors)², v_g = direction·X'A and M = I − H. Its mean
        # and spread are traces of the covariance of these C sums, a diagonal less a low rank.
        v = [direction @ adjusted for adjusted in self.adjusted]
        z = np.stack([own @ x for own, x in zip(v, self.designs, strict=True)])
        of_cells = np.array([own @ own for own in v])
        of_level = np.array([own @ ones for own, ones in zip(v, self.levels, strict=True)])

        factor = np.hstack([z @ self.bread, of_level[:, None] * self.level_sums])
        size = len(self.bread)
        cells, levels = np.zeros((2, 2 * size, 2 * size))
        cells[:size, :size] = np.linalg.inv(self.bread)
        levels[:size, :size] = -self.level_sums.T @ self.level_sums
        levels[:size, size:] = levels[size:, :size] = np.eye(size)

        shared = self.shared[..., None]
        freedom = _satterthwaite(
            of_cells + shared * of_level**2, factor, cells + shared[..., None] * levels
        )
        of_design = _satterthwaite(of_cells, factor, cells)
        value = self.coefficients @ combination
        return Contrast(value, np.sqrt(variance), freedom, float(of_design))

    def _shared(self, residual: np.ndarray, curves: Sequence[np.ndarray]) -> np.ndarray:
        """Return the variance of the curves' levels over that of the cells, by moments: from the
        squares of all residuals (..., K) and of their sums over curves."""
        sums = np.stack(
            [residual[..., own] @ ones for own, ones in zip(curves, self.levels, strict=True)], -1
        )
        weights = np.array([ones @ ones for ones in self.levels])
        trace, square = _traces(weights, self.level_sums, self.bread)

        # expected squares: [all, sums] = moments · [variance of cells, variance of levels]
        freedom = residual.shape[-1] - len(self.bread)
        moments = np.array([[freedom, trace], [trace, square]])
        squares = np.stack([(residual**2).sum(-1), (sums**2).sum(-1)], -1)
        if np.linalg.matrix_rank(moments) < 2:
            return np.zeros(squares.shape[:-1])
        of_cell, of_level = np.moveaxis(squares @ np.linalg.inv(moments), -1, 0)
        most = np.full_like(of_cell, MOST_SHARED)
        ratio = np.divide(of_level, of_cell, out=most, where=of_cell > of_level / MOST_SHARED)
        return np.where(of_level > 0, ratio, 0.0)


def _satterthwaite(diagonal: np.ndarray, factor: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Return the degrees of freedom (...) of a sum of C squares with the covariance of
    `_traces`."""
    trace, square = _traces(diagonal, factor, middle)
    return trace**2 / square


def _traces(
    diagonal: np.ndarray, factor: np.ndarray, middle: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the traces (...) of G and of G², G = diag(diagonal) − factor·middle·factor', without
    making G. diagonal: (..., C); factor: (C, m); middle: (..., m, m)."""
    crossed = middle @ (factor.T @ factor)
    low_rank = ((factor @ middle) * factor).sum(-1)
    trace = diagonal.sum(-1) - np.trace(crossed, axis1=-2, axis2=-1)
    square = (
        (diagonal**2).sum(-1)
        - 2 * (diagonal * low_rank).sum(-1)
        + np.trace(crossed @ crossed, axis1=-2, axis2=-1)
    )
    return trace, square
