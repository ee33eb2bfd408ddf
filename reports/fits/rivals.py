"""Which one variable, in which form, predicts curves that were not fitted?

    found = compare(cells, {"p/(n·d)": by_law, "p/n": per_sample})
    found.gain("p/(n·d)", over="p/n")

Each form has two coefficients, so all have equal freedom, and no curve has a level of its own: the
variable must explain the level too.

- *power*: log y = a + b·log v
- *logarithm*: y = A + B·ln v

One curve (one n, d and depth) after another is left out and predicted. The miss of a curve is the
root mean square of its log errors, and a difference of misses gets a t interval over curves. (Mean
squares themselves are so skewed over curves that the interval of the right variable's gain holds 0
even without noise.)
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t

from reports.fits.cells import members_of
from reports.fits.shapes import RATIOS

LEVEL = 0.95
MIN_CURVES = 4
"""Curves below which no form is compared: three are left to fit two coefficients."""
LEAST_SHARE = 0.02
"""A + B·ln v may predict a negative value beyond its data; at least this share of the value at the
smallest v is taken instead, which counts as a miss of a factor and not of infinity."""

Interval = tuple[float, float, float]


class Rivals(NamedTuple):
    """The miss of every curve (C,) by form: "v" for a power of v, "A + B·ln v" for its
    logarithm."""

    misses: dict[str, np.ndarray]
    cells: int
    curves: int
    failure: str = ""

    def factor(self, form: str) -> float:
        """Return the typical factor, exp(RMS log error), by which a form misses left-out curves."""
        return float(np.exp(np.sqrt((self.misses[form] ** 2).mean())))

    def gain(self, form: str, over: str) -> Interval:
        """Return the miss of `over` less that of `form`, with its 95 % interval: positive where
        `form` predicts better."""
        gains = self.misses[over] - self.misses[form]
        mean = float(gains.mean())
        error = float(gains.std(ddof=1)) / len(gains) ** 0.5
        half = float(t.ppf((1 + LEVEL) / 2, len(gains) - 1)) * error
        return mean, mean - half, mean + half

    def beats(self, form: str, over: str) -> bool:
        """Return whether `form` predicts better by more than chance."""
        return not self.failure and self.gain(form, over)[1] > 0


def logarithm_of(variable: str) -> str:
    """Return the name of the form A + B·ln v."""
    return f"A + B·ln {variable}"


def compare(cells: pd.DataFrame, variables: Mapping[str, np.ndarray]) -> Rivals:
    """Compare both forms of every variable, (K,) positive values each.

    cells: curve, log_y and rows (the trials behind each mean, its weight); K rows.
    """
    count = cells["curve"].nunique()
    if count < MIN_CURVES:
        are = "curve is" if count == 1 else "curves are"
        why = f"{count} {are} too few to compare variables (at least {MIN_CURVES})"
        return Rivals({}, len(cells), count, why)

    y = cells["log_y"].to_numpy(float)
    w = cells["rows"].to_numpy(float)
    curves = members_of(cells["curve"])
    misses: dict[str, np.ndarray] = {}
    for name, values in variables.items():
        z = np.log(np.asarray(values, float))
        misses[name] = _left_out(z[None, :], y, w, curves, free=True)
        misses[logarithm_of(name)] = _left_out(_logarithms(z), y, w, curves, free=False)
    return Rivals(misses, len(cells), count)


def _logarithms(z: np.ndarray) -> np.ndarray:
    """Return log(1 + c·share) for each ratio c that is tried, (G, K). share: of the way from the
    smallest to the largest ln v."""
    share = (z - z.min()) / max(float(np.ptp(z)), 1e-12)
    return np.log(np.maximum(LEAST_SHARE, 1 + np.expm1(RATIOS)[:, None] * share))


def _left_out(
    features: np.ndarray, y: np.ndarray, w: np.ndarray, curves: list[np.ndarray], free: bool
) -> np.ndarray:
    """Return each curve's root mean square log error (C,) under a fit to all others.

    features: (G, K), of which the one that fits the others best is taken. free: it gets a
    coefficient; otherwise the coefficient is 1.
    """
    found = []
    for out in curves:
        known = np.setdiff1d(np.arange(len(y)), out)
        weight = w[known] / w[known].sum()
        f = features[:, known]
        mean_f, mean_y = f @ weight, float(y[known] @ weight)
        df, dy = f - mean_f[:, None], y[known] - mean_y

        slope = np.ones(len(f))
        if free:
            slope = (df @ (weight * dy)) / np.maximum((df**2) @ weight, 1e-12)
        left = ((dy - slope[:, None] * df) ** 2) @ weight
        best = int(left.argmin())
        predicted = mean_y + slope[best] * (features[best, out] - mean_f[best])
        found.append(float(np.average((y[out] - predicted) ** 2, weights=w[out])) ** 0.5)
    return np.array(found)
