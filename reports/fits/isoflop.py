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
        """The parabola at n parameters."""
        return np.polynomial.polynomial.polyval(np.log(n) - self.centre, self.curve)


def budgets_of(compute: np.ndarray) -> np.ndarray:
    """(K,) number of each run's budget, from the least compute on."""
    order = np.argsort(compute, kind="stable")
    label = np.empty(len(compute), int)
    label[order] = np.concatenate([[0], np.cumsum(np.diff(np.log(compute[order])) > np.log(APART))])
    return label


def fit_budgets(n: np.ndarray, d: np.ndarray, loss: np.ndarray, budget: np.ndarray) -> list[Budget]:
    """A parabola per budget with at least three sizes. n, d, loss, budget: (K,), one entry per
    run."""
    found = []
    for label in np.unique(budget):
        mine = budget == label
        if len(np.unique(n[mine])) >= MIN_SIZES:
            found.append(
                _parabola(n[mine], loss[mine])._replace(
                    compute=float(np.exp(np.log(6.0 * n[mine] * d[mine]).mean())), runs=mine
                )
            )
    return found


def _parabola(n: np.ndarray, loss: np.ndarray) -> Budget:
    sizes, member = np.unique(n, return_inverse=True)
    y = np.bincount(member, loss) / np.bincount(member)
    centre = float(np.log(sizes).mean())
    u = np.log(sizes) - centre
    design = np.column_stack([np.ones_like(u), u, u * u])
    c = np.linalg.lstsq(design, y, rcond=None)[0]
    nan = float("nan")
    made = Budget(
        nan,
        len(sizes),
        float(sizes[0]),
        float(sizes[-1]),
        Interval(nan, nan, nan),
        nan,
        centre,
        (c[0], c[1], c[2]),
        np.array([], bool),
    )
    if c[2] <= 0:
        return made._replace(failure="the loss has no minimum between its ends")
    lowest = -c[1] / (2 * c[2])
    if not u[0] < lowest < u[-1]:
        return made._replace(failure="the minimum lies beyond the sizes tried")
    best, spare = float(np.exp(lowest + centre)), len(sizes) - 3
    made = made._replace(
        best=Interval(best, nan, nan), loss=float(c[0] + c[1] * lowest + c[2] * lowest**2)
    )
    if not spare:
        return made._replace(note="three sizes leave nothing to judge a parabola by")
    covariance = np.linalg.inv(design.T @ design) * np.sum((design @ c - y) ** 2) / spare
    ends = _fieller(c, covariance, float(stdtrit(spare, (1 + LEVEL) / 2)))
    if ends is None:
        return made._replace(note="the bend is not told from none")
    return made._replace(best=Interval(best, *(float(np.exp(end + centre)) for end in ends)))


def _fieller(c: np.ndarray, covariance: np.ndarray, quantile: float) -> tuple[float, float] | None:
    """The u at which |c1 + 2·c2·u| is at most quantile standard errors of it; None where they
    have no end."""
    q2 = quantile**2
    square = 4 * (c[2] ** 2 - q2 * covariance[2, 2])
    middle = 4 * (c[1] * c[2] - q2 * covariance[1, 2])
    least = c[1] ** 2 - q2 * covariance[1, 1]
    if square <= 0:
        return None
    half = np.sqrt(max(middle**2 - 4 * square * least, 0.0))
    return (-middle - half) / (2 * square), (-middle + half) / (2 * square)


def size_exponent(budgets: list[Budget]) -> Interval | None:
    """The exponent of the best N in compute: least squares of logarithms over budgets with a
    minimum; None with fewer than two. Student's interval, NaN for two budgets."""
    known = [b for b in budgets if not b.failure]
    if len(known) < 2:
        return None
    x, y = np.log([b.compute for b in known]), np.log([b.best.value for b in known])
    x, y = x - x.mean(), y - y.mean()
    slope, spare = float(x @ y / (x @ x)), len(known) - 2
    if not spare:
        return Interval(slope, float("nan"), float("nan"))
    half = float(
        stdtrit(spare, (1 + LEVEL) / 2) * np.sqrt(np.sum((y - slope * x) ** 2) / spare / (x @ x))
    )
    return Interval(slope, slope - half, slope + half)
