"""Power laws through measured cells: least squares on logarithms, with bootstrap intervals over
configurations.

`fit_slope` fits log y = a_curve + b·log p with one slope for all curves. `fit_collapse` fits log y
= a + b·log p − b_n·log n − b_d·log d over curves that differ in n and d. Both state what they used.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

REPLICATES = 2000
LEVEL = 0.95
MIN_CELLS = 4
MIN_CURVES = 6
"""Curves (n, d combinations) below which the collapse gets no interval: they are what it
resamples."""
SEED = 20210526
"""Of the bootstrap, so that the same rows give the same report."""
DETERMINED = 1e-6
"""Smallest share of a direction's weight that must be left where a curve is left out: below, the
rest says nothing about that direction."""


class Slope(NamedTuple):
    """b with its interval, or the reason why there is none (then slope, low and high are NaN).

    held_out: typical factor, exp(RMS log error), by which the fit to all but each curve's largest
    size misses that size. smallest and largest: slopes of the single curves. dropped: rows whose
    value is not positive, which a logarithm cannot take.
    """

    slope: float
    low: float
    high: float
    cells: int
    curves: int
    dropped: int
    held_out: float
    smallest: float
    largest: float
    trials: tuple[str, ...]
    failure: str = ""


class Collapse(NamedTuple):
    """Exponents of p, n and d, their ratios with intervals, and held-out errors of three collapses.

    A ratio b_n/b or b_d/b of 1 is what the variable p/(n·d) predicts; p/n predicts b_d = 0.
    `errors` are typical factors, exp(RMS log error), when each (n, d) combination in turn is left
    out of the fit and then predicted.
    """

    b: float
    b_n: float
    b_d: float
    ratio_n: tuple[float, float, float]
    ratio_d: tuple[float, float, float]
    errors: dict[str, float]
    cells: int
    curves: int
    trials: tuple[str, ...]
    failure: str = ""


def fit_slope(rows: pd.DataFrame, column: str) -> Slope:
    """Fit one slope. rows: columns trial_id, cell, curve, p and `column`.

    Objective: ordinary least squares on natural logarithms, every trial the same weight, one
    intercept per curve. Interval: percentile bootstrap, 2000 replicates, over curves and over the
    cells of each drawn curve, seeds inside; curves may differ in slope, so they are resampled too.
    Widened by the larger of sqrt(K/(K − C − 1)) and sqrt(C/(C − 1)) for K cells on C curves,
    because resampling few things understates their spread.
    """
    used = rows[rows[column] > 0]
    dropped = len(rows) - len(used)
    cells = _cells(used, column)
    k = len(cells)
    c = cells["curve"].nunique()
    trials = tuple(used["trial_id"])
    if k < MIN_CELLS or k <= c + 1:
        nan = float("nan")
        failure = f"{k} cells on {c} curves are too few for a slope and its interval"
        return Slope(nan, nan, nan, k, c, dropped, nan, nan, nan, trials, failure)

    x = np.log(cells["p"].to_numpy(float))
    y = cells["log_y"].to_numpy()
    w = cells["rows"].to_numpy(float)
    curves = _members(cells["curve"])
    measured = [(own, w[None, own]) for own in curves]
    b = float(_common_slope(x, y, measured)[0])

    draws = _common_slope(x, y, _resampled(curves, w, np.random.default_rng(SEED)))
    few_curves = c / (c - 1) if c > 1 else 1
    low, high = _interval(b, draws, np.sqrt(max(k / (k - c - 1), few_curves)))

    single = [float(_common_slope(x, y, [curve])[0]) for curve in measured]
    return Slope(
        b,
        low,
        high,
        k,
        c,
        dropped,
        held_out=_largest_held_out(x, y, w, curves),
        smallest=np.nanmin(single),
        largest=np.nanmax(single),
        trials=trials,
    )


def _cells(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return one row per cell: its curve, p, n, d, mean log value and number of trials."""
    logs = rows.assign(log_y=np.log(rows[column].astype(float)))
    return logs.groupby("cell", sort=True).agg(
        curve=("curve", "first"),
        p=("p", "first"),
        n=("n", "first"),
        d=("d_ambient", "first"),
        log_y=("log_y", "mean"),
        rows=("p", "size"),
    )


def _members(curve: pd.Series) -> list[np.ndarray]:
    """Return the positions of each curve's cells, curves in the order of their names."""
    _, number = np.unique(curve, return_inverse=True)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.cumsum(np.bincount(number))[:-1])


def _common_slope(
    x: np.ndarray, y: np.ndarray, curves: Iterable[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Return slopes (R,), from deviations from each curve's weighted mean, pooled over curves.

    curves: the positions of a curve's cells (K,) with their weights (R, K). One curve at a time, so
    that neither time nor memory grows by cells times curves.
    """
    spread = np.zeros(1)
    product = np.zeros(1)
    for own, w in curves:
        mass = np.maximum(w.sum(1, keepdims=True), 1e-300)
        dx = x[own] - (w * x[own]).sum(1, keepdims=True) / mass
        dy = y[own] - (w * y[own]).sum(1, keepdims=True) / mass
        spread = spread + (w * dx * dx).sum(1)
        product = product + (w * dx * dy).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 1e-12, product / spread, np.nan)


def _resampled(
    curves: list[np.ndarray], w: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each curve's cells (K,) with their weights (REPLICATES, K): `w` times how often a cell
    is drawn, curves with replacement, then the cells of every drawn curve."""
    count = len(curves)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=REPLICATES)
    for g, own in enumerate(curves):
        k = len(own)
        yield own, w[own] * rng.multinomial(k * drawn[:, g], np.full(k, 1 / k))


def _interval(estimate: float, draws: np.ndarray, widen: float) -> tuple[float, float]:
    low, high = np.nanquantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(estimate + (low - estimate) * widen), float(estimate + (high - estimate) * widen)


def _largest_held_out(
    x: np.ndarray, y: np.ndarray, w: np.ndarray, curves: list[np.ndarray]
) -> float:
    """Fit without each curve's largest size and predict that size. Return exp(RMS log error), NaN
    when too little is left."""
    kept = [own[x[own] < x[own].max()] for own in curves]
    if sum(map(len, kept)) <= len(curves) + 1:
        return float("nan")
    slope = float(_common_slope(x, y, [(known, w[None, known]) for known in kept])[0])

    errors = []
    for own, known in zip(curves, kept, strict=True):
        asked = own[x[own] == x[own].max()]
        if len(known):
            level = np.average(y[known] - slope * x[known], weights=w[known])
            errors += list(y[asked] - level - slope * x[asked])
    return float(np.exp(np.sqrt(np.mean(np.square(errors))))) if errors else float("nan")


def fit_collapse(rows: pd.DataFrame, column: str) -> Collapse:
    """Fit the three exponents over rows whose settings differ in n, d and size alone.

    Objective: as `fit_slope`, with one intercept and one exponent of p for all. Interval:
    percentile bootstrap over (n, d) combinations, each with all its cells and seeds, so that a
    misfit of the form itself widens it.
    """
    used = rows[rows[column] > 0]
    cells = _cells(used, column)
    k = len(cells)
    c = cells["curve"].nunique()
    trials = tuple(used["trial_id"])
    nan = float("nan")
    nothing = Collapse(nan, nan, nan, (nan, nan, nan), (nan, nan, nan), {}, k, c, trials)
    if cells["n"].nunique() < 2:
        return nothing._replace(failure="n does not vary over the cells that may enter")

    y = cells["log_y"].to_numpy()
    w = cells["rows"].to_numpy(float)
    d_varies = cells["d"].nunique() > 1
    log_p, log_n, log_d = (np.log(cells[v].to_numpy(float)) for v in ("p", "n", "d"))
    free = np.column_stack([np.ones(k), log_p, -log_n, *([-log_d] if d_varies else [])])
    if c < 2 or k <= free.shape[1] or np.linalg.matrix_rank(free) < free.shape[1]:
        return nothing._replace(failure=f"{k} cells on {c} curves do not identify the exponents")

    curve = np.unique(cells["curve"], return_inverse=True)[1]
    curves = _members(cells["curve"])
    forms = {"free": free, "p/(n·d)": np.column_stack([np.ones(k), log_p - log_n - log_d])}
    if d_varies:
        forms["p/n"] = np.column_stack([np.ones(k), log_p - log_n])
    errors = {name: _left_out(design, y, w, curves) for name, design in forms.items()}

    solution = _least_squares(free, y, w)
    b = float(solution[1])
    b_n = float(solution[2])
    b_d = float(solution[3]) if d_varies else nan

    ratio_n = (b_n / b, nan, nan)
    ratio_d = (b_d / b, nan, nan)
    failure = ""
    if c < MIN_CURVES:
        failure = f"{c} combinations of n and d are too few for an interval (at least {MIN_CURVES})"
    else:
        draws = _curve_bootstrap(free, y, w, curve)
        if np.mean(np.sign(draws[:, 1]) == np.sign(b)) < (1 + LEVEL) / 2:
            failure = "the exponent of p cannot be told from 0, so no ratio to it means anything"
        else:
            ratio_n = (b_n / b, *_quantiles(draws[:, 2] / draws[:, 1]))
            if d_varies:
                ratio_d = (b_d / b, *_quantiles(draws[:, 3] / draws[:, 1]))
    return Collapse(b, b_n, b_d, ratio_n, ratio_d, errors, k, c, trials, failure)


def _least_squares(design: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    root = np.sqrt(w)
    return np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]


def _left_out(design: np.ndarray, y: np.ndarray, w: np.ndarray, curves: list[np.ndarray]) -> float:
    """Leave each curve out of the fit in turn and predict it. Return exp(RMS log error).

    The fit to all cells is one projection on orthonormal directions, and a curve is taken out of it
    by its own cells alone, so that the cost does not grow by cells times curves.
    """
    root = np.sqrt(w)
    directions, sizes, _ = np.linalg.svd(design * root[:, None], full_matrices=False)
    directions = directions[:, sizes > sizes.max() * np.finfo(float).eps * len(y)]
    scaled = y * root
    together = directions.T @ scaled

    errors = np.empty(len(y))
    for out in curves:
        own = directions[out]
        left = np.eye(own.shape[1]) - own.T @ own
        if np.linalg.eigvalsh(left)[0] > DETERMINED:
            solution = np.linalg.solve(left, together - own.T @ scaled[out])
            predicted = own @ solution / root[out]
        else:  # the solution of least norm
            known = np.delete(np.arange(len(y)), out)
            predicted = design[out] @ _least_squares(design[known], y[known], w[known])
        errors[out] = y[out] - predicted
    return float(np.exp(np.sqrt(np.average(np.square(errors), weights=w))))


def _curve_bootstrap(
    design: np.ndarray, y: np.ndarray, w: np.ndarray, curve: np.ndarray
) -> np.ndarray:
    """Return solutions over resampled curves, (R, columns). Draws that leave an exponent
    undetermined are drawn again."""
    rng = np.random.default_rng(SEED)
    count = curve.max() + 1
    draws = []
    for _ in range(20 * REPLICATES):
        times = rng.multinomial(count, np.full(count, 1 / count))[curve]
        kept = times > 0
        if np.linalg.matrix_rank(design[kept]) == design.shape[1]:
            draws.append(_least_squares(design[kept], y[kept], w[kept] * times[kept]))
        if len(draws) == REPLICATES:
            break
    return np.array(draws)


def _quantiles(draws: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
