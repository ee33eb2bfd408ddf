"""The truths that are planted: how log stability depends on p, n and d, and what a right report
says about it.

Only shapes matter. Every intercept is free in the fits, so levels are set where stabilities of the
example stores lie.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Level = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""A function of p, n and d, each (rows,): log stability, up to a constant."""


class Truth(NamedTuple):
    """A planted truth.

    slope: the exponent of p, None where it changes with p. ratio_d: exponent of 1/d over that of p,
    None where the truth has no such ratio. knee: the slope changes at p = n·d. other_measures: the
    other measures get sensitivities of their own that depend on nothing, where the truth is about
    all measures at once.
    """

    name: str
    level: Level
    slope: float | None
    ratio_d: float | None = None
    knee: bool = False
    other_measures: bool = False


ORDER = 0.5
PLAIN = 0.2
"""About the exponent of p in plainly trained models."""
BELOW_KNEE = 0.16
ABOVE_KNEE = 0.03
"""Slopes of GPTs on either side of p = n·d."""
LOG_START = 3.0
"""Of the logarithmic truth S ∝ ln p - LOG_START; its local slope is 1/(ln p - LOG_START)."""


def _law(p: np.ndarray, n: np.ndarray, d: np.ndarray) -> np.ndarray:
    return ORDER * np.log(p / (n * d))


def _collapse(p: np.ndarray, n: np.ndarray, d: np.ndarray) -> np.ndarray:
    return PLAIN * np.log(p / (n * d))


def _per_sample(p: np.ndarray, n: np.ndarray, d: np.ndarray) -> np.ndarray:
    return ORDER * np.log(p / n)


def _flat(p: np.ndarray, n: np.ndarray, d: np.ndarray) -> np.ndarray:
    return -PLAIN * np.log(n)


def _logarithm(p: np.ndarray, n: np.ndarray, d: np.ndarray) -> np.ndarray:
    return np.log(np.log(p) - LOG_START)


def _knee(p: np.ndarray, n: np.ndarray, d: np.ndarray) -> np.ndarray:
    beyond = np.log(p / (n * d))
    return np.where(beyond < 0, BELOW_KNEE, ABOVE_KNEE) * beyond


def _nothing(p: np.ndarray, n: np.ndarray, d: np.ndarray) -> np.ndarray:
    return np.zeros(len(p))


TRUTHS = (
    Truth("p/(n·d) at the law's order", _law, slope=ORDER, ratio_d=1.0),
    Truth("p/(n·d), exponent 0.2", _collapse, slope=PLAIN, ratio_d=1.0),
    Truth("p/n at the law's order", _per_sample, slope=ORDER, ratio_d=0.0),
    Truth("flat in p, falls with n", _flat, slope=0.0),
    Truth("A + B·ln p", _logarithm, slope=None),
    Truth("broken at p = n·d", _knee, slope=None, knee=True),
    Truth("nothing depends on p", _nothing, slope=0.0, other_measures=True),
)
