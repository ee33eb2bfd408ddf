"""The slope that several groups of single values share, each group with a level of its own.

    fit = common_slope(x, y, group, cell)

For few, well-repeated places: a group has three to six places x, and every place a few seeds. A
t interval over groups would have no degrees of freedom, so the interval rests on the seeds. Seeds
of one cell may err together (a whole number of neurons, a step of the search), which shows as a
misfit of the cells' means. The larger of the two mean squares, of single values and of cells' means
around the line, is taken.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import t

LEVEL = 0.95
SMALLEST_SPREAD = 1e-12


class CommonSlope(NamedTuple):
    """A slope with its 95 % interval, or the reason why there is none (then all are NaN)."""

    slope: float
    low: float
    high: float
    places: int
    cells: int
    groups: int
    trials: tuple[str, ...] = ()
    failure: str = ""

    def within(self, value: float, half: float) -> bool:
        """Return whether the whole interval lies less than `half` from a value."""
        return bool(self.low > value - half and self.high < value + half)


def common_slope(
    x: np.ndarray, y: np.ndarray, group: np.ndarray, cell: np.ndarray, least: int = 3
) -> CommonSlope:
    """Fit y = level of the group + slope·x by least squares; all arguments (N,).

    Groups with one place do not count. least: distinct places that some group must have.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    _, group = np.unique(group, return_inverse=True)
    _, cell = np.unique(cell, return_inverse=True)
    places = np.array(
        [len(np.unique(np.round(x[group == g], 6))) for g in range(group.max(initial=-1) + 1)]
    )
    kept = places[group] > 1 if len(x) else np.zeros(0, bool)
    x, y, group, cell = x[kept], y[kept], group[kept], cell[kept]

    nan = float("nan")
    most = int(places.max(initial=0))
    count = len(np.unique(cell))
    groups = len(np.unique(group))
    nothing = CommonSlope(nan, nan, nan, most, count, groups)
    if most < least:
        return nothing._replace(failure=f"{most} places are too few for a slope (at least {least})")
    freedom = len(x) - groups - 1
    if freedom < 1:
        return nothing._replace(failure="one seed at too few places leaves no interval")

    dx, dy = _centred(x, group), _centred(y, group)
    spread = float(dx @ dx)
    slope = float(dx @ dy) / spread
    residual = dy - slope * dx
    variance = float(residual @ residual) / freedom
    if count > groups + 1:
        sums = np.bincount(cell, residual)
        counts = np.bincount(cell)
        of_means = float((sums[counts > 0] ** 2 / counts[counts > 0]).sum())
        variance = max(variance, of_means / (count - groups - 1))

    half = float(t.ppf((1 + LEVEL) / 2, freedom)) * (variance / spread) ** 0.5
    return nothing._replace(slope=slope, low=slope - half, high=slope + half)


def _centred(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the values less the mean of their group."""
    means = np.bincount(group, values) / np.maximum(1, np.bincount(group))
    return values - means[group]


class Bend(NamedTuple):
    """How far the local slope of one curve moves over a decade, half of it: ± this much."""

    per_decade: float
    decades: float


def bend(x: np.ndarray, y: np.ndarray) -> Bend:
    """Return the bend of y over natural logarithms x, from a parabola; NaN below three places."""
    decades = float(np.ptp(x)) / np.log(10) if len(x) else 0.0
    if len(np.unique(np.round(x, 6))) < 3:
        return Bend(float("nan"), decades)
    square = np.polyfit(x, y, 2)[0]
    return Bend(float(abs(square) * np.log(10)), decades)
