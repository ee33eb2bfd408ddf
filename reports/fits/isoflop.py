"""The best size at a fixed compute budget C = 6·N·D: the least loss through the runs of each budget
(approach 2 of Hoffmann et al. 2022, arXiv 2203.15556, section 3.2).

    budgets = fit_budgets(n, d, loss, budgets_of(6 * n * d))
    exponent = size_exponent(budgets)

A parabola in log N, as there, is symmetric about its minimum. The curve of a budget is not, where
the loss falls with N at another rate than with D, and the minimum then moves with the range of the
sizes: by 1 to 30 %. Here the curve of budget k is l_k + a_k·N^−α + b_k·D^−β. Level and strengths
are each budget's own, so that nothing is assumed about how its minimum moves with compute. α and β
are shared, and only bend the curves: they are averaged over with weights from all budgets' runs,
starting from TYPICAL, so that what the runs do not say about the bend is inside the intervals.
`python -m tests.benchmarks.isoflop` compares the choice with parabolas and a cubic.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import stdtrit

from reports.fits.scaling import Interval, Scaling
from reports.fits.slope import LEVEL, SEED

MIN_SIZES = 3
TYPICAL = 0.35
"""Where α and β begin: published exponents lie at 0.2 to 0.6."""
SPREAD = np.log(2.0)
"""Standard deviation of log α and log β about it, before any run is seen."""
GRID = np.exp(np.log(TYPICAL) + SPREAD * np.linspace(-2.5, 2.5, 21))
DRAWS = 400
BEYOND = np.log(8.0)
"""A draw whose curve has no minimum counts as one this far beyond the sizes tried, on a log
scale."""
EXACT = 1e-20
"""Squared relative residuals that are rounding, and not noise."""


class Budget(NamedTuple):
    """One budget's curve, loss = l + a·N^−α + b·D^−β with D = compute/(6·N), fitted to the mean
    losses of its cells.

    compute: geometric mean of 6·N·D, in FLOP. sizes: distinct N. best: N of least loss with its 95
    % interval, NaN ends where there is none. failure: why there is no minimum; note: why it has no
    interval.
    """

    compute: float
    sizes: int
    smallest: float
    largest: float
    best: Interval
    loss: float
    curve: tuple[float, float, float]
    """l, a and b, in nats, at N and D less their geometric means (`centre`)."""
    centre: tuple[float, float]
    exponents: tuple[float, float]
    runs: np.ndarray
    """(K,) whether a run belongs to it."""
    draws: np.ndarray
    """(DRAWS,) log N of least loss, drawn together with those of the other budgets; empty where no
    noise can be estimated."""
    failure: str = ""
    note: str = ""

    def at(self, n: np.ndarray) -> np.ndarray:
        """Return the curve's loss at n parameters and the budget's compute."""
        return _basis(np.log(n), self._log_tokens(n), self.centre, self.exponents) @ self.curve

    def _log_tokens(self, n: np.ndarray) -> np.ndarray:
        return np.log(self.compute / 6) - np.log(n)


class _Cells(NamedTuple):
    """The cells of one budget: log N and log D (M,), and the mean loss of each over that of all."""

    x: np.ndarray
    y: np.ndarray
    loss: np.ndarray
    mean: float
    centre: tuple[float, float]
    log_compute: float
    runs: np.ndarray

    def residuals(self, exponents: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        """Return coefficients (3,) and residuals (M,) of the curve of least squares."""
        design = _basis(self.x, self.y, self.centre, exponents)
        coefficients = np.linalg.lstsq(design, self.loss, rcond=None)[0]
        return coefficients, self.loss - design @ coefficients


def _basis(
    x: np.ndarray, y: np.ndarray, centre: tuple[float, float], exponents: tuple[float, float]
) -> np.ndarray:
    """Return 1, N^−α and D^−β, (M, 3), of log N and log D less their means."""
    falling = np.exp(-exponents[0] * (x - centre[0]))
    rising = np.exp(-exponents[1] * (y - centre[1]))
    return np.stack([np.ones_like(x), falling, rising], axis=-1)


def fit_budgets(n: np.ndarray, d: np.ndarray, loss: np.ndarray, budget: np.ndarray) -> list[Budget]:
    """Fit the budgets that have at least three sizes, together.

    n, d, loss, budget: (K,), one entry per run. `budget` labels the runs: a column's values, or
    what `reports.fits.budgets.budgets_of` makes of their compute. Noise is relative, and equal in
    all budgets.
    """
    labels = [label for label in np.unique(budget) if _enough(n[budget == label])]
    cells = [_cells(n, d, loss, budget == label) for label in labels]
    if not cells:
        return []

    spare = sum(len(own.loss) - 3 for own in cells)
    exponents = _exponents(cells, spare)
    draws = _draws(cells, spare) if spare > 0 else [np.array([])] * len(cells)
    return [_budget(own, exponents, drawn) for own, drawn in zip(cells, draws, strict=True)]


def _enough(n: np.ndarray) -> bool:
    return len(np.unique(n)) >= MIN_SIZES


def _cells(n: np.ndarray, d: np.ndarray, loss: np.ndarray, runs: np.ndarray) -> _Cells:
    places, member = np.unique(np.column_stack([n, d])[runs], axis=0, return_inverse=True)
    member = member.ravel()
    means = np.bincount(member, loss[runs]) / np.bincount(member)
    x, y = np.log(places).T
    log_compute = float(np.log(6.0 * n[runs] * d[runs]).mean())
    mean = float(means.mean())
    centre = (float(x.mean()), float(y.mean()))
    return _Cells(x, y, means / mean, mean, centre, log_compute, runs)


def _prior(log_exponents: np.ndarray) -> np.ndarray:
    """Return −2·log of the weight of exponents (…, 2) before any run is seen."""
    return (((log_exponents - np.log(TYPICAL)) / SPREAD) ** 2).sum(-1)


def _exponents(cells: list[_Cells], spare: int) -> tuple[float, float]:
    """Return the α and β of most weight. spare: residuals less coefficients."""

    def cost(log_exponents: np.ndarray) -> float:
        alpha, beta = np.exp(log_exponents)
        squares = sum(float(np.sum(own.residuals((alpha, beta))[1] ** 2)) for own in cells)
        return max(spare, 0) * np.log(squares + EXACT) + float(_prior(log_exponents))

    options = {"xatol": 1e-6, "fatol": 1e-8, "maxiter": 400}
    found = minimize(cost, np.log([TYPICAL] * 2), method="Nelder-Mead", options=options)
    alpha, beta = np.exp(np.clip(found.x, np.log(GRID[0]), np.log(GRID[-1])))
    return float(alpha), float(beta)


def _draws(cells: list[_Cells], spare: int) -> list[np.ndarray]:
    """Return DRAWS joint draws of every budget's log N of least loss.

    Exponents come from a grid by their weight, the residuals' spread from its χ² distribution, and
    coefficients from their normal distribution about those of least squares.
    """
    pairs = np.array([(alpha, beta) for alpha in GRID for beta in GRID])
    inverses = []
    squares = np.zeros(len(pairs))
    for own in cells:
        falling = np.exp(-pairs[:, :1] * (own.x - own.centre[0]))
        rising = np.exp(-pairs[:, 1:] * (own.y - own.centre[1]))
        design = np.stack([np.ones_like(falling), falling, rising], axis=2)
        inverse = np.linalg.pinv(design)
        coefficients = inverse @ own.loss
        fitted = np.einsum("gmk,gk->gm", design, coefficients)
        squares += ((own.loss - fitted) ** 2).sum(1)
        inverses.append((inverse, coefficients))

    weight = -0.5 * (spare * np.log(squares + EXACT) + _prior(np.log(pairs)))
    weight = np.exp(weight - weight.max())
    rng = np.random.default_rng(SEED)
    drawn = rng.choice(len(pairs), DRAWS, p=weight / weight.sum())
    spread = np.sqrt((squares[drawn] + EXACT) / rng.chisquare(spare, DRAWS))

    minima = []
    for own, (inverse, coefficients) in zip(cells, inverses, strict=True):
        noise = spread[:, None] * rng.standard_normal((DRAWS, len(own.loss)))
        moved = coefficients[drawn] + np.einsum("rkm,rm->rk", inverse[drawn], noise)
        minima.append(_lowest(moved, pairs[drawn], own))
    return minima


def _lowest(coefficients: np.ndarray, exponents: np.ndarray, own: _Cells) -> np.ndarray:
    """Return log N of least loss at the budget's compute, (R,), for coefficients (R, 3) and
    exponents (R, 2)."""
    _, falling, rising = coefficients.T
    alpha, beta = exponents.T
    falls = falling > 0
    bends = falls & (rising > 0)
    shift = own.log_compute - np.log(6) - own.centre[1]
    ratio = np.log(np.where(bends, alpha * falling, 1) / np.where(bends, beta * rising, 1))
    u = (ratio + alpha * own.centre[0] + beta * shift) / (alpha + beta)

    # Without a minimum the loss goes on falling towards larger sizes, or towards smaller ones.
    u = np.where(bends, u, np.where(falls, np.inf, -np.inf))
    return np.clip(u, own.x.min() - BEYOND, own.x.max() + BEYOND)


def _budget(own: _Cells, exponents: tuple[float, float], draws: np.ndarray) -> Budget:
    coefficients, _ = own.residuals(exponents)
    level, falling, rising = (float(c) for c in own.mean * coefficients)
    nan = float("nan")
    budget = Budget(
        compute=float(np.exp(own.log_compute)),
        sizes=len(np.unique(own.x)),
        smallest=float(np.exp(own.x.min())),
        largest=float(np.exp(own.x.max())),
        best=Interval(nan, nan, nan),
        loss=nan,
        curve=(level, falling, rising),
        centre=own.centre,
        exponents=exponents,
        runs=own.runs,
        draws=draws,
    )
    if min(falling, rising) <= 0:
        return budget._replace(failure="the loss has no minimum between its ends")
    lowest = float(_lowest(coefficients[None], np.array([exponents]), own)[0])
    if not own.x.min() < lowest < own.x.max():
        return budget._replace(failure="the minimum lies beyond the sizes tried")

    best = float(np.exp(lowest))
    budget = budget._replace(best=Interval(best, nan, nan))
    budget = budget._replace(loss=float(budget.at(np.array([best]))[0]))
    if not len(draws):
        return budget._replace(
            note="its curve passes through three sizes exactly and leaves no error to judge it by"
        )
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if low <= own.x.min() - BEYOND or high >= own.x.max() + BEYOND:
        return budget._replace(note="the curvature cannot be told from 0")
    ends = min(float(np.exp(low)), best), max(float(np.exp(high)), best)
    return budget._replace(best=Interval(best, *ends))


def size_exponent(budgets: list[Budget]) -> Interval | None:
    """Return the exponent of the best N in compute, by weighted least squares of logarithms over
    budgets with a minimum; None with fewer than two.

    Weights are the inverse variances of the draws. The interval holds the draws' slopes, and is
    widened where the best sizes scatter about the line by more than the draws do. It is NaN where
    there are no draws.
    """
    known = [own for own in budgets if not own.failure]
    if len(known) < 2:
        return None
    x = np.log([own.compute for own in known])
    y = np.log([own.best.value for own in known])
    nan = float("nan")
    if not len(known[0].draws):
        return Interval(float(_slope(x, y, np.ones_like(x))), nan, nan)

    draws = np.array([own.draws for own in known])
    variance = draws.var(axis=1) + 1e-8
    slope = float(_slope(x, y, 1 / variance))
    low, high = np.quantile(_slope(x, draws.T, 1 / variance), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = min(low, slope), max(high, slope)

    spare = len(known) - 2
    if spare:
        level = np.average(y, weights=1 / variance)
        missed = y - level - slope * (x - np.average(x, weights=1 / variance))
        scatter = np.sqrt(np.sum(missed**2 / variance) / spare)
        normal = float(stdtrit(np.inf, (1 + LEVEL) / 2))
        if scatter > 1:
            widen = scatter * float(stdtrit(spare, (1 + LEVEL) / 2)) / normal
            low, high = slope - (slope - low) * widen, slope + (high - slope) * widen
    return Interval(slope, float(low), float(high))


def surface_best(fit: Scaling, compute: float) -> Interval:
    """Return the N of least loss on the fitted surface at this compute, (αA/βB)^(1/(α + β)) ·
    (C/6)^(β/(α + β)), Hoffmann et al. 2022, equation 4.

    The interval is the bootstrap's, widened as those of the parameters are; NaN where more than 5 %
    of its draws have no A or no B, and so no minimum. A and B of the fit must be above 0.
    """
    bends = (fit.draws[:, 1:3] > 0).all(axis=1)
    value = (fit.E.value, fit.A.value, fit.B.value, fit.alpha.value, fit.beta.value)
    _, a, b, alpha, beta = np.vstack([value, fit.draws[bends]]).T
    u = np.log(alpha * a) - np.log(beta * b) + beta * np.log(compute / 6)
    u = u / (alpha + beta)
    best = float(np.exp(u[0]))
    if bends.mean() < LEVEL:
        return Interval(best, float("nan"), float("nan"))
    ends = np.quantile(u[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = np.exp(u[0] + (ends - u[0]) * np.sqrt(fit.cells / (fit.cells - 5)))
    return Interval(best, float(low), float(high))


def _slope(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted slope of y (…, B) against x (B,)."""
    centred = weights * (x - np.average(x, weights=weights))
    return np.asarray(y @ centred / (centred @ x))
