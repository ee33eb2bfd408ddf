"""The best size at a fixed compute budget: a parabola of loss in log N through the runs of each
budget (Hoffmann et al. 2022).

budgets = fit_budgets(n, d, loss, budgets_of(6 * n * d))
exponent = size_exponent(budgets)
"""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from reports.fits.scaling import Interval
from reports.fits.slope import LEVEL

APART = 1.25
"""Runs whose compute differs from the next by more than this factor belong to different budgets."""
MIN_SIZES = 3


class Budget(NamedTuple):
    """One budget's parabola, loss = c0 + c1·u + c2·u² of u = log N − centre, fitted to the mean
    losses of its sizes.

    compute: geometric mean of 6·N·D, in FLOP. sizes: distinct N. best: N of least loss with its 95
    % interval (Fieller's: all N at which a slope of 0 is not excluded; NaN ends where there is
    none). failure: why there is no minimum; note: why it has no interval.
    """

    compute: float
    sizes: int
    smallest: float
    largest: float
    best: Interval
    loss: float
    centre: float
    curve: tuple[float, float, float]
    runs: np.ndarray
    """(K,) whether a run belongs to it."""
    failure: str = ""
    note: str = ""

    def at(self, n: np.ndarray) -> np.ndarray:
        """Return the parabola's loss at n parameters."""
        return np.polynomial.polynomial.polyval(np.log(n) - self.centre, self.curve)


def budgets_of(compute: np.ndarray) -> np.ndarray:
    """Return the number of each run's budget, (K,), from the least compute on."""
    order = np.argsort(compute, kind="stable")
    label = np.empty(len(compute), int)
    label[order] = np.concatenate([[0], np.cumsum(np.diff(np.log(compute[order])) > np.log(APART))])
    return label


def fit_budgets(n: np.ndarray, d: np.ndarray, loss: np.ndarray, budget: np.ndarray) -> list[Budget]:
    """Fit a parabola to each budget with at least three sizes. n, d, loss, budget: (K,), one entry
    per run."""
    budgets = []
    for label in np.unique(budget):
        runs = budget == label
        if len(np.unique(n[runs])) < MIN_SIZES:
            continue
        compute = float(np.exp(np.log(6.0 * n[runs] * d[runs]).mean()))
        budgets.append(_parabola(n[runs], loss[runs])._replace(compute=compute, runs=runs))
    return budgets


def _parabola(n: np.ndarray, loss: np.ndarray) -> Budget:
    """Fit a budget's parabola; its compute and runs are for the caller to fill in."""
    sizes, member = np.unique(n, return_inverse=True)
    y = np.bincount(member, loss) / np.bincount(member)
    centre = float(np.log(sizes).mean())
    u = np.log(sizes) - centre
    design = np.column_stack([np.ones_like(u), u, u * u])
    c = np.linalg.lstsq(design, y, rcond=None)[0]

    nan = float("nan")
    budget = Budget(
        compute=nan,
        sizes=len(sizes),
        smallest=float(sizes[0]),
        largest=float(sizes[-1]),
        best=Interval(nan, nan, nan),
        loss=nan,
        centre=centre,
        curve=(c[0], c[1], c[2]),
        runs=np.array([], bool),
    )
    if c[2] <= 0:
        return budget._replace(failure="the loss has no minimum between its ends")
    lowest = -c[1] / (2 * c[2])
    if not u[0] < lowest < u[-1]:
        return budget._replace(failure="the minimum lies beyond the sizes tried")

    best = float(np.exp(lowest + centre))
    least = float(c[0] + c[1] * lowest + c[2] * lowest**2)
    budget = budget._replace(best=Interval(best, nan, nan), loss=least)

    spare = len(sizes) - 3
    if not spare:
        return budget._replace(
            note="a parabola passes through three sizes exactly and leaves no error to judge it by"
        )
    covariance = np.linalg.inv(design.T @ design) * np.sum((design @ c - y) ** 2) / spare
    ends = _fieller(c, covariance, float(stdtrit(spare, (1 + LEVEL) / 2)))
    if ends is None:
        return budget._replace(note="the curvature cannot be told from 0")
    return budget._replace(best=Interval(best, *(float(np.exp(end + centre)) for end in ends)))


def _fieller(c: np.ndarray, covariance: np.ndarray, quantile: float) -> tuple[float, float] | None:
    """Return the ends of the u at which |c1 + 2·c2·u| is at most `quantile` of its standard errors
    (Fieller); None where these u have no end."""
    q2 = quantile**2
    square = 4 * (c[2] ** 2 - q2 * covariance[2, 2])
    middle = 4 * (c[1] * c[2] - q2 * covariance[1, 2])
    least = c[1] ** 2 - q2 * covariance[1, 1]
    if square <= 0:
        return None
    half = np.sqrt(max(middle**2 - 4 * square * least, 0.0))
    return (-middle - half) / (2 * square), (-middle + half) / (2 * square)


def size_exponent(budgets: list[Budget]) -> Interval | None:
    """Return the exponent of the best N in compute, by least squares of logarithms over budgets
    with a minimum; None with fewer than two. The interval is Student's, NaN for two budgets."""
    known = [b for b in budgets if not b.failure]
    if len(known) < 2:
        return None
    x = np.log([b.compute for b in known])
    y = np.log([b.best.value for b in known])
    x = x - x.mean()
    y = y - y.mean()
    slope = float(x @ y / (x @ x))

    spare = len(known) - 2
    if not spare:
        return Interval(slope, float("nan"), float("nan"))
    half = float(
        stdtrit(spare, (1 + LEVEL) / 2) * np.sqrt(np.sum((y - slope * x) ** 2) / spare / (x @ x))
    )
    return Interval(slope, slope - half, slope + half)
