"""The half-widths that the two estimators of `reports.frontier_answer` are expected to have, once
the variances in their errors are known.

    error = MeanOfCurves.of(curve, log_constant)
    error.half_width(cells_of_each_curve)

Both errors are split so that the present cells give the present interval.
"""

from typing import NamedTuple

import numpy as np

from reports.frontier_answer import MIN_CURVES, MIN_DIMENSIONS
from reports.suggest.greedy import quantile


class MeanOfCurves(NamedTuple):
    """Variances of a logarithm between curves and, around its curve's mean, between cells.

    Every curve has the same say, so the variance of the mean of C curves of k_j cells is
    (between + within·mean(1/k_j))/C, and the interval is Student's t with C − 1 degrees of freedom.
    """

    between: float
    within: float

    @classmethod
    def of(cls, curve: np.ndarray, y: np.ndarray) -> "MeanOfCurves":
        """Split the variance of the cells' values y (K,), of curves (K,), three or more."""
        _, curve = np.unique(curve, return_inverse=True)
        counts = np.bincount(curve)
        means = np.bincount(curve, y) / counts
        observed = float(means.var(ddof=1))
        share = float((1 / counts).mean())

        freedom = len(y) - len(counts)
        within = float(((y - means[curve]) ** 2).sum()) / freedom if freedom else 0.0
        within = min(within, observed / share)  # more would leave curves less than nothing
        return cls(observed - within * share, within)

    def half_width(self, counts: np.ndarray) -> float:
        """Return the half-width for curves of these numbers of cells, (C,)."""
        if len(counts) < MIN_CURVES:
            return float("inf")
        variance = (self.between + self.within * float((1 / counts).mean())) / len(counts)
        return quantile(len(counts) - 1) * variance**0.5


class Cells(NamedTuple):
    """Cells of a shared slope, (K,) each: place x, group, and number of values."""

    x: np.ndarray
    group: np.ndarray
    values: np.ndarray


class SharedSlope(NamedTuple):
    """Variances of one value around its cell, and of a cell around its group's line.

    The report's interval rests on the larger of two mean squares, of values and of cells' means
    (`reports.fits.common_slope`). Their expectations are those of least squares with the number of
    values as weight.
    """

    of_value: float
    of_cell: float

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, group: np.ndarray, cell: np.ndarray) -> "SharedSlope":
        """Split the variance of values y (N,) at x around the lines of their groups."""
        _, first, cell = np.unique(cell, return_index=True, return_inverse=True)
        counts = np.bincount(cell)
        means = np.bincount(cell, y) / counts
        line = _line(Cells(x[first], group[first], counts))
        kept = line.kept[cell]

        slope = float((line.dx[line.kept] * counts[line.kept]) @ means[line.kept]) / line.spread
        miss = means - slope * line.dx
        for g in np.unique(group[first]):
            own = group[first] == g
            miss[own] -= np.average(miss[own], weights=counts[own])
        of_means = float((counts * miss**2)[line.kept].sum())
        inside = float(((y - means[cell]) ** 2)[kept].sum())

        repeats = int(kept.sum()) - line.cells
        every = (of_means + inside) / line.freedom
        if not repeats or line.left < 1 or of_means / line.left <= every:
            return cls(every, 0.0)
        of_value = inside / repeats
        return cls(of_value, (of_means / line.left - of_value) * line.left / line.uneven)

    def half_width(self, cells: Cells) -> float:
        """Return the half-width with these cells; infinite where the report states no slope."""
        line = _line(cells)
        if line.places < MIN_DIMENSIONS or line.freedom < 1:
            return float("inf")
        of_means = self.of_value + self.of_cell * line.uneven / max(line.left, 1)
        variance = of_means if line.left >= 1 else self.of_value
        return quantile(line.freedom) * (variance / line.spread) ** 0.5


class _Line(NamedTuple):
    """What least squares sees of cells. kept (K,): those of groups with two places. dx (K,): place
    less the group's mean. spread: Σ values·dx². cells and left: those kept, and their degrees of
    freedom. freedom: that of single values. places: the most of one group. uneven: Σ values·(1 −
    leverage), by which the variance of cells enters the sum of squares of their means."""

    kept: np.ndarray
    dx: np.ndarray
    spread: float
    cells: int
    left: int
    freedom: int
    places: int
    uneven: float


def _line(cells: Cells) -> _Line:
    x, group, values = cells
    kept = np.zeros(len(x), bool)
    dx = np.zeros(len(x))
    share = np.zeros(len(x))
    groups, most = 0, 0
    for g in np.unique(group):
        own = group == g
        places = len(np.unique(np.round(x[own], 6)))
        most = max(most, places)
        if places > 1:
            groups += 1
            kept |= own
            dx[own] = x[own] - np.average(x[own], weights=values[own])
            share[own] = values[own] / values[own].sum()

    spread = float((values * dx**2)[kept].sum())
    leverage = share + values * dx**2 / max(spread, 1e-300)
    count = int(kept.sum())
    return _Line(
        kept,
        dx,
        spread,
        count,
        count - groups - 1,
        int(values[kept].sum()) - groups - 1,
        most,
        float((values * (1 - leverage))[kept].sum()),
    )
