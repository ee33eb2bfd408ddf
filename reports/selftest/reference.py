"""How often an analyst who knows the spreads could give the right answer: the power of a design.

The analyst knows how precise each cell is beside the others, but not the scale, and fits by
generalised least squares. Slope and collapse get t intervals with the degrees of freedom that the
number of curves leaves; a knee gets the most powerful test. Where the spreads are as planted, these
tests keep their error rate, and no other linear estimate has a smaller variance (Gauss and Markov).
The report gives every curve equal say and does not know the spreads, so it cannot do better. A
right answer is demanded only where this analyst gives it.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from reports.selftest.designs import Design, Spread
from reports.selftest.judge import COLLAPSE, FORM, LAW
from reports.selftest.planting import spread_of
from reports.selftest.rows import store_of
from reports.selftest.truths import ORDER, TRUTHS, Truth
from reports.verdicts import NARROW

DRAWS = 20_000
SEED = 7
LEVEL = 0.95
KNEES = np.linspace(0.05, 0.95, 37)
"""Quantiles of log p/(n·d) at which a levelling form may bend."""
STEEPNESSES = np.geomspace(1e-2, 1e2, 41)
"""Values of c of the logarithm log(1 + c·z) that are tried."""


def cells_of(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of fitted trials: curve, p, n, d, and the number of seeds."""
    return trials.groupby("cell", sort=True).agg(
        curve=("curve", "first"),
        p=("p", "first"),
        n=("n", "first"),
        d=("d_ambient", "first"),
        seeds=("p", "size"),
    )


def covariance(cells: pd.DataFrame, spread: Spread) -> np.ndarray:
    """Return (K, K), the covariance of the mean log values of K cells."""
    log_p = pd.Series(np.log(cells["p"].to_numpy(float)), index=cells.index)
    along = (log_p - log_p.groupby(cells["curve"]).transform("mean")).to_numpy()
    curve = cells["curve"].to_numpy()
    same = curve[:, None] == curve[None, :]
    seeds = cells["seeds"].to_numpy()

    of_curve = (
        spread.level**2 + spread.shared**2 / seeds.max() + spread.slope**2 * np.outer(along, along)
    )
    return same * of_curve + np.diag(spread.cell**2 + spread.seed**2 / seeds)


def least_squares(
    design: np.ndarray, means: np.ndarray, cov: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the generalised least squares solution (C,) and its covariance (C, C)."""
    weighted = np.linalg.solve(cov, design)
    information = design.T @ weighted
    spread = np.linalg.inv(information)
    return spread @ (weighted.T @ means), spread


def truth_at(cells: pd.DataFrame, truth: Truth) -> np.ndarray:
    """Return (K,) the planted log values."""
    return truth.level(*(cells[v].to_numpy(float) for v in ("p", "n", "d")))


def law_power(cells: pd.DataFrame, spread: Spread, truth: Truth, freedom: int) -> float:
    """Return how often the analyst gives the right verdict on the law for one kind.

    freedom: degrees of freedom of the spread of slopes.
    """
    log_p = np.log(cells["p"].to_numpy(float))
    levels = pd.get_dummies(cells["curve"]).to_numpy(float)
    design = np.column_stack([log_p, levels])
    solution, spreads = least_squares(design, truth_at(cells, truth), covariance(cells, spread))
    b, half = _drawn(float(solution[0]), float(np.sqrt(spreads[0, 0])), freedom)

    if truth.slope == ORDER:
        right = (np.abs(b - ORDER) <= half) & (half < NARROW)
    else:
        right = b + half < ORDER
    return float(right.mean())


def collapse_power(cells: pd.DataFrame, spread: Spread, truth: Truth) -> float:
    """Return how often the analyst gives the right verdict on the collapse.

    Contradicted: the interval of b_n - b or of b_d - b excludes 0. Supported: both hold 0, lie
    above -b, and are narrower than b. At a single d the analyst cannot tell.
    """
    log_p, log_n, log_d = (np.log(cells[v].to_numpy(float)) for v in ("p", "n", "d"))
    if cells["d"].nunique() < 2:
        return 0.0
    # In these terms the second and third coefficients are b_n - b and b_d - b.
    design = np.column_stack([np.ones(len(cells)), log_p - log_n - log_d, -log_n, -log_d])
    freedom = cells["curve"].nunique() - 3
    if freedom < 1:
        return 0.0

    solution, spreads = least_squares(design, truth_at(cells, truth), covariance(cells, spread))
    rng = np.random.default_rng(SEED)
    drawn = rng.multivariate_normal(solution, spreads, DRAWS)
    scale = np.sqrt(rng.chisquare(freedom, DRAWS) / freedom)
    b = drawn[:, 1]
    half = t.ppf((1 + LEVEL) / 2, freedom) * scale[:, None] * np.sqrt(np.diag(spreads))[None, 2:]
    holds_zero = (np.abs(drawn[:, 2:]) <= half).all(1)

    if truth.ratio_d != 1:
        return float((~holds_zero).mean())
    narrow = (2 * half <= b[:, None]).all(1)
    positive = (drawn[:, 2:] - half > -b[:, None]).all(1)
    return float((holds_zero & narrow & positive).mean())


def knee_power(cells: pd.DataFrame, spread: Spread, truth: Truth) -> float:
    """Return how often the most powerful test at 5 % (Neyman and Pearson) tells the broken form
    from the nearest power law, logarithm or levelling form, all of them known."""
    z = np.log((cells["p"] / (cells["n"] * cells["d"])).to_numpy(float))
    levels = pd.get_dummies(cells["curve"]).to_numpy(float)
    planted = truth_at(cells, truth)
    cov = covariance(cells, spread)

    rivals = [(z[:, None], planted)]
    rivals += [(np.minimum(z, knee)[:, None], planted) for knee in np.quantile(z, KNEES)]
    rising = [np.log(1 + c * (z - z.min())) for c in STEEPNESSES]
    rivals += [(np.empty((len(z), 0)), planted - rise) for rise in rising]
    distances = [_distance(np.column_stack([shape, levels]), mean, cov) for shape, mean in rivals]
    return float(norm.cdf(min(distances) - norm.ppf(LEVEL)))


def _distance(design: np.ndarray, means: np.ndarray, cov: np.ndarray) -> float:
    """Return how many standard deviations the means lie from the nearest ones of the design."""
    solution, _ = least_squares(design, means, cov)
    missed = means - design @ solution
    return float(np.sqrt(missed @ np.linalg.solve(cov, missed)))


def _drawn(truth: float, error: float, freedom: int) -> tuple[np.ndarray, np.ndarray]:
    """Return drawn estimates with the half-widths of their intervals, (DRAWS,) each."""
    rng = np.random.default_rng(SEED)
    estimates = truth + error * rng.standard_normal(DRAWS)
    errors = error * np.sqrt(rng.chisquare(freedom, DRAWS) / freedom)
    return estimates, t.ppf((1 + LEVEL) / 2, freedom) * errors


Power = dict[tuple[str, str, str, str], float]
"""(design, truth, question, kind or "") → how often the analyst gives the right answer."""


def powers(designs: Iterable[Design]) -> Power:
    """Return the power of the designs as used, for the questions whose right answer needs it."""
    found: Power = {}
    for design in designs:
        trials = store_of(design, np.random.default_rng(SEED), rough=False).trials
        fitted = trials[trials["in_fit"]]
        for kind, rows in fitted.groupby("kind"):
            cells = cells_of(rows)
            spread = spread_of(design, rows)
            freedom = _freedom(fitted, str(kind))
            for truth in TRUTHS:
                power = law_power(cells, spread, truth, freedom)
                found[design.name, truth.name, LAW, str(kind)] = power
                if truth.knee:
                    found[design.name, truth.name, FORM, str(kind)] = knee_power(
                        cells, spread, truth
                    )
                if truth.ratio_d is not None and rows["tests_stability"].all():
                    power = collapse_power(cells, spread, truth)
                    place = (design.name, truth.name, COLLAPSE, "")
                    found[place] = max(power, found.get(place, 0.0))
    return found


def _freedom(fitted: pd.DataFrame, kind: str) -> int:
    """Return the degrees of freedom of the spread of slopes: the curves of the kind less one, or,
    below three curves, those of all kinds of the same spread."""
    curves = fitted.groupby("kind")["curve"].nunique()
    if curves[kind] >= 3:
        return int(curves[kind]) - 1
    return max(1, int((curves - 1).sum()))
