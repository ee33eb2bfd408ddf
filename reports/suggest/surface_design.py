"""The expected half-width of an exponent of L = E + A/N^α + B/D^β, as runs are added.

log L is linearised at the present fit: with J (K, 5) its derivatives, the parameters' covariance is
σ²·(JᵀJ)⁻¹, and the variance of an exponent with gradient c is σ²·cᵀ(JᵀJ)⁻¹c. The interval is
Student's t with K − 5 degrees of freedom.
"""

from typing import NamedTuple, Self

import numpy as np

from reports.suggest.greedy import quantile

EXPONENTS = ("alpha", "beta", "compute")
"""What can be narrowed: α, β, and β/(α + β), the exponent of C in the best N."""
PARAMETERS = 5
SINGULAR = 1e-13
"""Least eigenvalue, of information scaled to a unit diagonal, that is more than rounding."""


class Surface(NamedTuple):
    """A fit: E, A, B, α, β in nats, parameters and tokens; sigma: standard deviation of a run's
    log loss around it."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    sigma: float

    def log_loss(self, n: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Return log L (K,) at n parameters and d tokens, (K,) each."""
        return np.log(self.E + self.A * n**-self.alpha + self.B * d**-self.beta)

    def jacobian(self, n: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Return the derivatives (K, 5) of log L by E, log A, log B, α and β."""
        u, v = self.A * n**-self.alpha, self.B * d**-self.beta
        loss = self.E + u + v
        parts = [np.ones_like(u), u, v, -u * np.log(n), -v * np.log(d)]
        return np.stack(parts, axis=-1) / loss[..., None]

    def gradient(self, exponent: str) -> np.ndarray:
        """Return the derivatives (5,) of an exponent by the same parameters."""
        total = (self.alpha + self.beta) ** 2
        return {
            "alpha": np.array([0.0, 0, 0, 1, 0]),
            "beta": np.array([0.0, 0, 0, 0, 1]),
            "compute": np.array([0, 0, 0, -self.beta / total, self.alpha / total]),
        }[exponent]


class SurfaceDesign(NamedTuple):
    """information: (5, 5) JᵀJ of the runs. runs: their number. rows: (M, 5) the derivatives at each
    move's run. trials: runs that a move adds. c: the exponent's gradient."""

    information: np.ndarray
    runs: int
    rows: np.ndarray
    trials: int
    c: np.ndarray
    sigma: float

    @classmethod
    def of(
        cls,
        surface: Surface,
        exponent: str,
        runs: tuple[np.ndarray, np.ndarray],
        moves: tuple[np.ndarray, np.ndarray],
        trials: int = 1,
    ) -> "SurfaceDesign":
        """Return the design of these runs and moves, each given by N and D."""
        jacobian = surface.jacobian(*runs)
        return cls(
            jacobian.T @ jacobian,
            len(jacobian),
            surface.jacobian(*moves),
            trials,
            surface.gradient(exponent),
            surface.sigma,
        )

    def half_width(self) -> float:
        freedom = self.runs - PARAMETERS
        if freedom < 1:
            return float("inf")
        # scaled to a unit diagonal: E and log A differ by orders of magnitude
        scale = 1 / np.sqrt(np.diag(self.information))
        scaled = self.information * np.outer(scale, scale)
        if np.linalg.eigvalsh(scaled)[0] < SINGULAR:  # runs that do not tell the parameters apart
            return float("inf")
        root = np.linalg.cholesky(scaled)
        error = self.sigma * np.linalg.norm(np.linalg.solve(root, self.c * scale))
        return quantile(freedom) * float(error)

    def after(self, move: int) -> Self:
        row = self.rows[move]
        return self._replace(
            information=self.information + self.trials * np.outer(row, row),
            runs=self.runs + self.trials,
        )
