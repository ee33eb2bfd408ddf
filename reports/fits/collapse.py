"""Do size, samples and dimension act through one variable? Fit log y = a + b·log p − b_n·log n −
b_d·log d over curves that differ in n and d.

The variable p/(n·d) predicts b_n = b_d = b, the variable p/n b_n = b and b_d = 0. The law is a
one-sided bound and predicts neither: a fit that contradicts p/(n·d) contradicts it as the variable
of the measure that was fitted.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import nct, t

from reports.fits.cells import cells_of, members_of
from reports.fits.clustered import ClusteredFit, Contrast
from reports.fits.random_slope import LEVEL

MIN_CURVES = 6
"""Curves (n, d combinations) below which there is no interval: they are what it rests on."""
LEAST_FREEDOM = 3.0
"""Degrees of freedom below which a contrast gets no interval. They are those of the design, so that
a refusal does not depend on the values measured."""
TESTS = 2
"""Tests that can contradict a variable, one of n and one of d. Each interval of a difference has
the level 1 − (1 − LEVEL)/TESTS, so that a true variable is contradicted in at most 5 % of cases."""
LARGEST_SHIFT = 30.0
"""Of the noncentral t, which SciPy computes as NaN far beyond; the power is 1 there already."""
DETERMINED = 1e-6
"""Smallest share of a direction's weight that must be left where a curve is left out: below, the
rest says nothing about that direction."""
BY_LAW = "p/(n·d)"
BY_SAMPLES = "p/n"
ISOTROPIC = "n^(1/d)"
FREE = "free"
"""Forms. The third is the rival order n^(1/d) of Wu et al. 2022 (arXiv 2202.11592), with as many
parameters as the free form."""

Interval = tuple[float, float, float]
"""An estimate and the ends of its interval; NaN where there is none."""
UNKNOWN = float("nan")


class Collapse(NamedTuple):
    """Exponents of p, n and d, how they differ, and how well each form predicts.

    difference_n and difference_d: b_n − b and b_d − b, 0 under p/(n·d), with simultaneous 95 %
    intervals. exponent_d: b_d, 0 under p/n, with an interval of the same level. ratio_n, ratio_d:
    b_n/b and b_d/b, without interval: a ratio has none where b may be 0. errors: typical factor,
    exp(RMS log error), of each form when each (n, d) combination in turn is left out and then
    predicted. gains: form → squared log error of p/(n·d) less its own, over combinations, with a
    95 % interval; positive where the form predicts better. power: the probability with which data
    like these would have told b_d = b from 0.
    """

    b: float
    b_n: float
    b_d: float
    ratio_n: float
    ratio_d: float
    difference_n: Interval
    difference_d: Interval
    exponent_d: Interval
    errors: dict[str, float]
    gains: dict[str, Interval]
    power: float
    cells: int
    curves: int
    trials: tuple[str, ...]
    failure: str = ""


def fit_collapse(rows: pd.DataFrame, column: str, tests: int = TESTS) -> Collapse:
    """Fit the three exponents over rows whose settings differ in n, d and size alone.

    Objective: least squares on logarithms, every trial the same weight, one intercept and one
    exponent of p for all. Intervals: `clustered.py`, over (n, d) combinations; those of `tests`
    tests hold together at LEVEL.
    """
    used = rows[rows[column] > 0]
    cells = cells_of(used, column)
    k = len(cells)
    c = cells["curve"].nunique()
    trials = tuple(used["trial_id"])
    none = (UNKNOWN, UNKNOWN, UNKNOWN)
    nothing = Collapse(
        b=UNKNOWN,
        b_n=UNKNOWN,
        b_d=UNKNOWN,
        ratio_n=UNKNOWN,
        ratio_d=UNKNOWN,
        difference_n=none,
        difference_d=none,
        exponent_d=none,
        errors={},
        gains={},
        power=UNKNOWN,
        cells=k,
        curves=c,
        trials=trials,
    )
    if cells["n"].nunique() < 2:
        return nothing._replace(failure="n does not vary over the cells that may enter")

    y = cells["log_y"].to_numpy()
    w = cells["rows"].to_numpy(float)
    curves = members_of(cells["curve"])
    forms = _forms(cells)
    free = forms[FREE]
    if c < 2 or k <= free.shape[1] or np.linalg.matrix_rank(free) < free.shape[1]:
        return nothing._replace(failure=f"{k} cells on {c} curves do not identify the exponents")

    d_varies = free.shape[1] == 4
    misses = {name: _left_out(design, y, w, curves) for name, design in forms.items()}
    fit = ClusteredFit(free, y, w, curves)
    b, b_n = (float(fit.coefficients[i]) for i in (1, 2))
    b_d = float(fit.coefficients[3]) if d_varies else UNKNOWN
    found = nothing._replace(
        b=b,
        b_n=b_n,
        b_d=b_d,
        ratio_n=ratio_of(b_n, b),
        ratio_d=ratio_of(b_d, b),
        errors={name: _factor(miss, w) for name, miss in misses.items()},
    )
    if c < MIN_CURVES:
        why = f"{c} combinations of n and d are too few for an interval (at least {MIN_CURVES})"
        return found._replace(failure=why)

    n_to_b = fit.contrast([0, -1, 1, 0][: free.shape[1]])
    d_to_b = fit.contrast([0, -1, 0, 1]) if d_varies else None
    d_to_0 = fit.contrast([0, 0, 0, 1]) if d_varies else None
    return found._replace(
        difference_n=_with_interval(n_to_b, tests),
        difference_d=_with_interval(d_to_b, tests),
        exponent_d=_with_interval(d_to_0, tests),
        gains=_gains(misses, w, curves),
        power=_power(b, d_to_0, tests) if d_to_0 else UNKNOWN,
    )


def ratio_of(exponent: float, b: float) -> float:
    """Return exponent/b; NaN where b is 0, as for a measure that never moves."""
    return exponent / b if b else UNKNOWN


def _forms(cells: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the design of each form. Exponents of n and d are those of 1/n and 1/d."""
    one = np.ones(len(cells))
    log_p, log_n, log_d = (np.log(cells[v].to_numpy(float)) for v in ("p", "n", "d"))
    forms = {BY_LAW: np.column_stack([one, log_p - log_n - log_d])}
    if cells["d"].nunique() == 1:
        return {FREE: np.column_stack([one, log_p, -log_n]), **forms}

    per_dimension = log_n / (cells["d"].to_numpy(float) - 1)
    return {
        FREE: np.column_stack([one, log_p, -log_n, -log_d]),
        **forms,
        BY_SAMPLES: np.column_stack([one, log_p - log_n]),
        ISOTROPIC: np.column_stack([one, log_p, -per_dimension, -log_d]),
    }


def _with_interval(contrast: Contrast | None, tests: int) -> Interval:
    if contrast is None:
        return (UNKNOWN, UNKNOWN, UNKNOWN)
    value = float(contrast.value)
    if contrast.of_design < LEAST_FREEDOM:
        return (value, UNKNOWN, UNKNOWN)
    half = float(contrast.half_width(1 - (1 - LEVEL) / tests))
    return (value, value - half, value + half)


def _power(b: float, d_to_0: Contrast, tests: int) -> float:
    """Return the probability that the interval of b_d excludes 0 where b_d truly is b."""
    if d_to_0.of_design < LEAST_FREEDOM:
        return UNKNOWN
    if d_to_0.error == 0:
        return 1.0
    bound = float(t.ppf(1 - (1 - LEVEL) / tests / 2, d_to_0.freedom))
    shift = min(abs(b) / d_to_0.error, LARGEST_SHIFT)
    # Only the tail on the side of b: an interval on the other side of 0 does not tell b from 0.
    return float(nct.sf(bound, d_to_0.freedom, shift))


def _gains(
    misses: dict[str, np.ndarray], w: np.ndarray, curves: Sequence[np.ndarray]
) -> dict[str, Interval]:
    """Return what each rival form gains on p/(n·d): the mean over combinations, each the same say,
    with a t interval."""

    def by_curve(miss: np.ndarray) -> np.ndarray:
        return np.array([np.average(miss[own] ** 2, weights=w[own]) for own in curves])

    law = by_curve(misses[BY_LAW])
    gains: dict[str, Interval] = {}
    for name, miss in misses.items():
        if name != BY_LAW:
            gain = law - by_curve(miss)
            error = gain.std(ddof=1) / np.sqrt(len(gain))
            half = float(t.ppf((1 + LEVEL) / 2, len(gain) - 1) * error)
            mean = float(gain.mean())
            gains[name] = (mean, mean - half, mean + half)
    return gains


def _factor(miss: np.ndarray, w: np.ndarray) -> float:
    return float(np.exp(np.sqrt(np.average(np.square(miss), weights=w))))


def _left_out(
    design: np.ndarray, y: np.ndarray, w: np.ndarray, curves: list[np.ndarray]
) -> np.ndarray:
    """Leave each curve out of the fit in turn and predict it. Return the log errors (K,).

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
    return errors


def _least_squares(design: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    root = np.sqrt(w)
    return np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
