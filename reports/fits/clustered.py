"""Least squares on cells that come in curves, with standard errors that hold whatever the cells of
one curve have in common.

Covariance: the bias-reduced linearisation CR2 (Bell & McCaffrey 2002). Degrees of freedom of a
contrast: Satterthwaite's, under the working model of equal and independent errors (Pustejovsky &
Tipton 2018, equation 11). Curves are independent; their cells need not be.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t

SINGULAR = 1e-9
"""A direction of a curve's cells that the fit follows this closely has no error to judge by."""


class Contrast(NamedTuple):
    """A linear combination of coefficients with its standard error and degrees of freedom."""

    value: float
    error: float
    freedom: float

    def interval(self, level: float) -> tuple[float, float]:
        """Return the ends of the t interval."""
        half = float(t.ppf((1 + level) / 2, self.freedom)) * self.error
        return self.value - half, self.value + half


class ClusteredFit:
    """A weighted least-squares fit, from which contrasts can be asked."""

    def __init__(
        self, design: np.ndarray, y: np.ndarray, w: np.ndarray, curves: Sequence[np.ndarray]
    ):
        """design: (K, k) of full rank; y, w: (K,); curves: the positions of each curve's cells."""
        root = np.sqrt(w)
        x = design * root[:, None]
        self.bread = np.linalg.inv(x.T @ x)
        self.coefficients = self.bread @ (x.T @ (y * root))
        residual = y * root - x @ self.coefficients

        self.adjusted: list[np.ndarray] = []
        """Of each curve X'A, (k, cells): A is the inverse root of I − H in its cells."""
        self.scores: list[np.ndarray] = []
        """Of each curve X'A·residual, (k,)."""
        self.designs = [x[own] for own in curves]
        for own in curves:
            values, vectors = np.linalg.eigh(np.eye(len(own)) - x[own] @ self.bread @ x[own].T)
            inverse_root = np.where(values > SINGULAR, np.maximum(values, SINGULAR) ** -0.5, 0.0)
            adjusted = x[own].T @ (vectors * inverse_root) @ vectors.T
            self.adjusted.append(adjusted)
            self.scores.append(adjusted @ residual[own])

    def contrast(self, of: Sequence[float]) -> Contrast:
        """Return the contrast of the coefficients with `of`."""
        direction = self.bread @ np.asarray(of, float)
        variance = sum(float(direction @ score) ** 2 for score in self.scores)

        # v_g = A X M c; the variance estimate's expectation and spread need only sums over curves.
        squares = 0.0
        fourth = 0.0
        cross = 0.0
        outer = np.zeros_like(self.bread)
        for adjusted, x in zip(self.adjusted, self.designs, strict=True):
            v = direction @ adjusted
            z = v @ x
            own = float(v @ v)
            inside = float(z @ self.bread @ z)
            squares += own - inside
            fourth += own**2
            cross += own * inside
            outer += np.outer(z, z)
        projected = self.bread @ outer
        spread = fourth - 2 * cross + float(np.trace(projected @ projected))
        return Contrast(
            float(np.asarray(of, float) @ self.coefficients), variance**0.5, squares**2 / spread
        )
