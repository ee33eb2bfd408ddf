"""The expected half-width of a kind's slope, as trials are added to its curves or make new ones.

The slope is the plain mean of the curves' own least-squares slopes (`reports.fits.random_slope`),
so its variance is τ²/C + σ²/C² · Σ 1/spread_j for C curves, and its interval is Student's t with
C − 1 degrees of freedom. More sizes on a curve lower its own term; only more curves lower τ²/C.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from reports.fits.random_slope import OWN_CURVES
from reports.suggest.greedy import quantile


class Place(NamedTuple):
    """Trials of one size: the number of their curve, log p, and how many they are."""

    curve: int
    x: float
    trials: int


class SlopeDesign(NamedTuple):
    """sums: (C, 3) Σ w, Σ w·x, Σ w·x² of each curve, w trials at x = log p. tau2: variance of the
    curves' true slopes. noise: variance of a trial's log measure around its curve's line. moves:
    each the places that it adds."""

    sums: np.ndarray
    tau2: float
    noise: float
    moves: Sequence[Sequence[Place]]

    @classmethod
    def of(
        cls,
        places: Sequence[Place],
        tau2: float,
        noise: float,
        moves: Sequence[Sequence[Place]],
    ) -> "SlopeDesign":
        """Return the design of these places. Curves are numbered from 0, those of the moves too."""
        every = [*places, *(place for move in moves for place in move)]
        sums = np.zeros((1 + max(place.curve for place in every), 3))
        return cls(_added(sums, places), tau2, noise, moves)

    def half_width(self) -> float:
        spread = self.spreads
        count = len(spread)
        if count < OWN_CURVES:
            return float("inf")
        variance = self.tau2 / count + self.noise * (1 / spread).sum() / count**2
        return quantile(count - 1) * float(np.sqrt(variance))

    def after(self, move: int) -> Self:
        return self._replace(sums=_added(self.sums, self.moves[move]))

    @property
    def spreads(self) -> np.ndarray:
        """Return Σ w·(x − mean x)² of the curves that have two sizes."""
        used = self.sums[self.sums[:, 0] > 0]
        spread = used[:, 2] - used[:, 1] ** 2 / used[:, 0]
        return spread[spread > 1e-9]


def _added(sums: np.ndarray, places: Sequence[Place]) -> np.ndarray:
    more = sums.copy()
    for curve, x, trials in places:
        more[curve] += trials * np.array([1.0, x, x * x])
    return more
