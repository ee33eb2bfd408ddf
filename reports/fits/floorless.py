"""Ask whether an error curve needs a floor: compare the form that levels off with forms that do
not, by the error at sizes left out.

    rivals = floorless_rivals(p, error, rows)
    rivals[0].name, rivals[0].difference, rivals[0].low, rivals[0].high

The forms without a floor are A·p^(-α) and A·(ln p)^(-k); the second falls ever more slowly.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import t

from reports.fits.saturation import fit_left_out
from reports.fits.slope import LEVEL


class Rival(NamedTuple):
    """A form without a floor. difference: its mean |log error| at left-out sizes, less that of
    the form with a floor; positive where the floor predicts better. low and high: the ends of its
    95 % t interval over sizes."""

    name: str
    difference: float
    low: float
    high: float


FORMS = {"a power law to zero": np.log, "a power of ln p": lambda p: np.log(np.log(p))}
"""Name → the function of p in which log error is linear."""


def floorless_rivals(p: np.ndarray, error: np.ndarray, rows: np.ndarray) -> list[Rival]:
    """Return each form without a floor beside the one with a floor. p > e, error > 0 and number of
    trials: (K,) each, K ≥ 5.

    Each size in turn is left out of both fits and then predicted.
    """
    levelling = np.abs(np.log(fit_left_out(p, error, rows) / error))
    return [
        _rival(name, _left_out(function(p), np.log(error), rows) - levelling)
        for name, function in FORMS.items()
    ]


def _rival(name: str, differences: np.ndarray) -> Rival:
    k = len(differences)
    mean = float(differences.mean())
    half = float(t.ppf((1 + LEVEL) / 2, k - 1) * differences.std(ddof=1) / np.sqrt(k))
    return Rival(name, mean, mean - half, mean + half)


def _left_out(x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return |y − prediction| (K,) of the weighted line through the other sizes."""
    missed = np.empty(len(x))
    for i in range(len(x)):
        kept = np.arange(len(x)) != i
        slope, level = np.polyfit(x[kept], y[kept], 1, w=np.sqrt(rows[kept]))
        missed[i] = abs(y[i] - level - slope * x[i])
    return missed
