"""Power laws through measured cells: least squares on logarithms, with bootstrap intervals over
configurations.

`fit_slope` fits log y = a_curve + b·log p with one slope for all curves. `fit_collapse` fits log y
= a + b·log p − b_n·log n − b_d·log d over curves that differ in n and d. Both state what they used.
"""

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
    curve = np.unique(cells["curve"], return_inverse=True)[1]
    b = float(_common_slope(x, y, w[None, :], curve)[0])

    draws = _common_slope(x, y, w * _resampled(curve, np.random.default_rng(SEED)), curve)
    few_curves = c / (c - 1) if c > 1 else 1
    low, high = _interval(b, draws, np.sqrt(max(k / (k - c - 1), few_curves)))

    single = []
    for g in range(c):
        own = curve == g
        single.append(float(_common_slope(x[own], y[own], w[None, own], curve[own])[0]))

    return Slope(
        b,
        low,
        high,
        k,
        c,
        dropped,
        held_out=_largest_held_out(x, y, w, curve),
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


def _common_slope(x: np.ndarray, y: np.ndarray, w: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Return slopes (R,) for weights w (R, cells), from deviations from each curve's weighted
    mean, pooled over curves."""
    member = np.eye(curve.max() + 1)[curve]
    mass = np.maximum(w @ member, 1e-300)
    dx = x - ((w * x) @ member / mass)[:, curve]
    dy = y - ((w * y) @ member / mass)[:, curve]
    spread = (w * dx * dx).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 1e-12, (w * dx * dy).sum(1) / spread, np.nan)


def _resampled(curve: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return how often each cell is drawn, (REPLICATES, cells): curves with replacement, then the
    cells of every drawn curve."""
    count = curve.max() + 1
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=REPLICATES)
    weights = np.zeros((REPLICATES, len(curve)))
    for g in range(count):
        members = np.flatnonzero(curve == g)
        weights[:, members] = rng.multinomial(
            len(members) * drawn[:, g], np.full(len(members), 1 / len(members))
        )
    return weights


def _interval(estimate: float, draws: np.ndarray, widen: float) -> tuple[float, float]:
    low, high = np.nanquantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(estimate + (low - estimate) * widen), float(estimate + (high - estimate) * widen)


def _largest_held_out(x: np.ndarray, y: np.ndarray, w: np.ndarray, curve: np.ndarray) -> float:
    """Fit without each curve's largest size and predict that size. Return exp(RMS log error), NaN
    when too little is left."""
    last = np.array([x[curve == c].max() for c in range(curve.max() + 1)])[curve] == x
    kept = ~last
    if kept.sum() <= curve.max() + 2:
        return float("nan")
    slope = float(_common_slope(x[kept], y[kept], w[None, kept], curve[kept])[0])

    errors = []
    for c in range(curve.max() + 1):
        known = kept & (curve == c)
        asked = last & (curve == c)
        if known.any():
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
    forms = {"free": free, "p/(n·d)": np.column_stack([np.ones(k), log_p - log_n - log_d])}
    if d_varies:
        forms["p/n"] = np.column_stack([np.ones(k), log_p - log_n])
    errors = {name: _left_out(design, y, w, curve) for name, design in forms.items()}

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


def _left_out(design: np.ndarray, y: np.ndarray, w: np.ndarray, curve: np.ndarray) -> float:
    """Leave each curve out of the fit in turn and predict it. Return exp(RMS log error)."""
    errors = np.empty(len(y))
    for c in range(curve.max() + 1):
        out = curve == c
        errors[out] = y[out] - design[out] @ _least_squares(design[~out], y[~out], w[~out])
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
