"""How often cells like these would show a knee that is there: the power of the report's own rule.

A known knee is planted in simulated values of the very sizes that were measured, with the spread of
slopes and the noise that were estimated, and judged by the rule of `forms.py`. Where the share that
counts is small, a missing knee says nothing. A curve that truly bends raises the noise around its
straight line, so the power stated is then too low. Further curves only add to the power: of more
than MOST_CURVES a part is simulated, and the share is a lower bound.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reports.fits.forms import Compared, CurveSizes, knee_counts

DRAWS = 400
"""Simulated stores: a share has a standard error of at most 2.5 %."""
SEED = 20261127
MOST_CURVES = 100
AT_ONCE = 2_000_000
"""Products of one form that are held at once, over draws, curves and knees."""


class PlantedKnee(NamedTuple):
    """A planted change of slope: `below` and `above` on the two sides of log(p/(n·d)) = `place`."""

    below: float
    above: float
    place: float = 0.0


SLIGHT = PlantedKnee(0.16, 0.03)
"""The slopes of GPTs on either side of p = n·d."""
MARKED = PlantedKnee(0.30, -0.05)


def place_of(sizes: Sequence[CurveSizes]) -> float:
    """Return where a knee is planted, as log(p/(n·d)): at p = n·d where sizes lie on both sides of
    it, otherwise in the middle of the places at which a knee is looked for."""
    knees = Compared([curve.z for curve in sizes]).knees
    return 0.0 if knees[0] <= 0 <= knees[-1] else float((knees[0] + knees[-1]) / 2)


def knee_power(
    sizes: Sequence[CurveSizes], planted: PlantedKnee, tau: float, noise: float
) -> float:
    """Return the share of simulated stores of these sizes in which the planted knee counts.

    sizes: of at least three curves, with knees to look for between them. tau: standard deviation of
    the curves' slopes. noise: variance of one trial's log value around its curve.
    """
    sizes = simulated(sizes)
    z = [curve.z for curve in sizes]
    forms = Compared(z)
    rng = np.random.default_rng(SEED)
    chunk = max(1, AT_ONCE // (len(z) * len(forms.knees)))

    counted = []
    for first in range(0, DRAWS, chunk):
        draws = min(chunk, DRAWS - first)
        y = [_drawn(curve, planted, tau, noise, draws, rng) for curve in sizes]
        _, gains = forms.judge(y)
        counted.append(knee_counts(gains))
    return float(np.concatenate(counted).mean())


def simulated(sizes: Sequence[CurveSizes]) -> Sequence[CurveSizes]:
    """Return the curves that are simulated: all, or MOST_CURVES of them at even steps."""
    if len(sizes) <= MOST_CURVES:
        return sizes
    return [sizes[k * len(sizes) // MOST_CURVES] for k in range(MOST_CURVES)]


def _drawn(
    curve: CurveSizes,
    planted: PlantedKnee,
    tau: float,
    noise: float,
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return simulated values (draws, K) of one curve."""
    beyond = curve.z - planted.place
    shape = np.where(beyond < 0, planted.below, planted.above) * beyond
    own_slope = tau * rng.standard_normal((draws, 1)) * (curve.z - curve.z.mean())
    errors = np.sqrt(noise / curve.rows) * rng.standard_normal((draws, len(curve.z)))
    return shape + own_slope + errors
