"""Which analyst is the self-test's reference: the most powerful one that keeps its error rate?

    python -m tests.benchmarks.selftest_reference

For every kind of three or more curves in the shipped designs, slopes of curves are drawn with the
planted spreads, and three tests of a true slope are compared: the plain mean of the curves with a t
interval, the mean weighted by the planted variances with a t interval, and the same with a normal
interval whose scale is known, too. Columns: errors at a nominal 5 % where the spread of slopes is
as planted, twice that, and none; and how often the law's order is told where it is the truth.
Fifteen seconds.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from reports.selftest.designs import DESIGNS, Spread
from reports.selftest.planting import spread_of
from reports.selftest.reference import SEED, cells_of, covariance
from reports.selftest.rows import store_of
from reports.verdicts import NARROW

DRAWS = 40_000
FACTORS = (1, 2, 0)
"""The true spread of slopes over the one that the weights are made with."""
TESTS = ("mean, t", "weighted, t", "weighted, normal")


def variances(cells: pd.DataFrame, spread: Spread) -> np.ndarray:
    """Return the variance (C,) of each curve's least-squares slope."""
    cov = covariance(cells, spread)
    log_p = np.log(cells["p"].to_numpy(float))
    found = []
    for curve in cells["curve"].unique():
        own = (cells["curve"] == curve).to_numpy()
        along = np.where(own, log_p - log_p[own].mean(), 0.0)
        by_cell = along / (along @ along)
        found.append(by_cell @ cov @ by_cell)
    return np.array(found)


def intervals_of(slopes: np.ndarray, known: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return estimates and half-widths of their intervals (draws,) by test. slopes: (draws, C)
    around the truth. known: (C,) the variances that the weights are made with."""
    curves = slopes.shape[1]
    quantile = float(t.ppf(0.975, curves - 1))
    mean = slopes.mean(1)
    of_mean = quantile * slopes.std(1, ddof=1) / curves**0.5

    weight = 1 / known
    weighted = slopes @ weight / weight.sum()
    squares = ((slopes - weighted[:, None]) ** 2) @ weight
    of_weighted = quantile * np.sqrt(squares / (curves - 1) / weight.sum())
    of_known = np.full(len(slopes), float(norm.ppf(0.975)) / weight.sum() ** 0.5)
    return dict(
        zip(TESTS, ((mean, of_mean), (weighted, of_weighted), (weighted, of_known)), strict=True)
    )


def main() -> None:
    """Print a line for every kind and test."""
    rng = np.random.default_rng(SEED)
    print("| design | kind | curves | test | τ as planted | twice | none | order told |")
    print("|---|---|---|---|---|---|---|---|")
    for design in DESIGNS:
        trials = store_of(design, np.random.default_rng(SEED), rough=False).trials
        for kind, rows in trials[trials["in_fit"]].groupby("kind"):
            cells = cells_of(rows)
            spread = spread_of(design, rows)
            known = variances(cells, spread)
            if len(known) < 3:
                continue

            errors: dict[str, list[float]] = {name: [] for name in TESTS}
            told = {}
            for factor in FACTORS:
                true = variances(cells, spread._replace(slope=factor * spread.slope))
                slopes = np.sqrt(true) * rng.standard_normal((DRAWS, len(true)))
                for name, (estimate, half) in intervals_of(slopes, known).items():
                    holds = np.abs(estimate) <= half
                    errors[name].append(float(1 - holds.mean()))
                    told.setdefault(name, float((holds & (half < NARROW)).mean()))
            for name in TESTS:
                rates = " | ".join(f"{error:.3f}" for error in errors[name])
                line = f"| {design.name} | {kind} | {len(known)} | {name} | {rates}"
                print(f"{line} | {told[name]:.0%} |")


if __name__ == "__main__":
    main()
