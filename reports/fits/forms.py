"""Is one power law enough? Four forms of a measure against size, and which of them predicts best.

The forms are those of `shapes.py`: power law, A + B·ln p, levelling off, and broken, that is two
power laws that meet at a knee.

A form is judged on curves that it has not seen: its shape comes from the other curves, only the
level from the curve itself. A knee counts where the broken form beats all three others so, each by
a difference whose 95 % interval excludes 0. Asking for all three at once keeps the rate of false
knees below 5 % without any further adjustment (an intersection–union test, Berger 1982).

Two things are adjusted in a difference. The broken form contains the power law and the levelling
form, so where one of these is true it predicts worse, by the noise of its second slope: this is
added again (Clark & West 2007, J. Econometrics 138:291). A + B·ln p is no part of it, and fits that
share most of their curves make such a difference look surer than it is: its variance is that of
Nadeau & Bengio (2003, Machine Learning 52:239).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t

from reports.fits.cells import cells_of, members_of
from reports.fits.random_slope import LEVEL, OWN_CURVES
from reports.fits.shapes import (
    BROKEN,
    LEVELLING,
    LOGARITHM,
    POWER,
    Fitted,
    Shape,
    knees_of,
)

RULE = (
    "A knee counts where the broken form predicts curves that it has not seen better than the power"
    " law, A + B·ln p and the levelling form, each by an interval over curves that excludes 0. What"
    " the broken form's second slope costs it against forms that it contains is given back (Clark &"
    " West 2007); against A + B·ln p the variance is Nadeau & Bengio's (2003)."
)

RIVALS = (POWER, LOGARITHM, LEVELLING)
NESTED = (POWER, LEVELLING)
"""Rivals that the broken form contains."""

Interval = tuple[float, float, float]
"""An estimate and the ends of its interval."""


class Knee(NamedTuple):
    """Where the slope changes, as p/(n·d), and the slopes on both sides: a jackknife over curves,
    with t intervals."""

    place: Interval
    below: Interval
    above: Interval


class CurveSizes(NamedTuple):
    """z = log(p/(n·d)) and the number of trials of each cell of one curve, (K,) each."""

    z: np.ndarray
    rows: np.ndarray


class Forms(NamedTuple):
    """How the forms predict curves that they have not seen.

    errors: typical factor, exp(RMS log error), of each form. gains: rival → its squared log error
    less that of the broken form, adjusted as above, with a 95 % interval over curves; positive
    where the broken form predicts better. broken: the knee of the broken form, whether it counts or
    not. knee: the same where it counts, otherwise None. sizes: those of every curve.
    """

    errors: dict[str, float]
    gains: dict[str, Interval]
    broken: Knee | None
    knee: Knee | None
    cells: int
    curves: int
    trials: tuple[str, ...]
    sizes: list[CurveSizes]
    failure: str = ""

    @property
    def best(self) -> str:
        """Return the form of least held-out error; it need not be better by more than chance."""
        return min(self.errors, key=self.errors.__getitem__)


def fit_forms(rows: pd.DataFrame, column: str) -> Forms:
    """Compare the forms over the cells of one kind.

    rows: columns trial_id, cell, curve, p, n, d_ambient and `column`, whose logarithm is fitted.
    Below three curves, or without sizes on both sides of any knee, `failure` says so and nothing
    is compared.
    """
    used = rows[(rows[column] > 0) & rows["n"].notna()]
    cells = cells_of(used, column)
    sizes, y = _curves(cells)
    trials = tuple(used["trial_id"])
    nothing = Forms({}, {}, None, None, len(cells), len(sizes), trials, sizes)
    if len(sizes) < OWN_CURVES:
        are = "curve is" if len(sizes) == 1 else "curves are"
        why = f"{len(sizes)} {are} too few to compare forms (at least {OWN_CURVES})"
        return nothing._replace(failure=why)
    forms = Compared([curve.z for curve in sizes])
    if not len(forms.knees):
        return nothing._replace(failure="the curves have too few sizes for a slope on two sides")

    misses, gains = forms.judge(y)
    broken = forms.knee(y)
    counts = bool(knee_counts(gains))
    return nothing._replace(
        errors={form: float(np.exp(np.sqrt(miss.mean()))) for form, miss in misses.items()},
        gains={form: _floats(gain) for form, gain in gains.items()},
        broken=broken,
        knee=broken if counts else None,
    )


def _curves(cells: pd.DataFrame) -> tuple[list[CurveSizes], list[np.ndarray]]:
    """Return the sizes, and y, of each curve of at least two sizes."""
    if not len(cells):
        return [], []
    z = np.log((cells["p"] / (cells["n"] * cells["d"])).to_numpy(float))
    y = cells["log_y"].to_numpy()
    rows = cells["rows"].to_numpy(float)
    members = [own for own in members_of(cells["curve"]) if len(own) > 1]
    return [CurveSizes(z[own], rows[own]) for own in members], [y[own] for own in members]


Values = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Estimates (...) and the ends of their intervals."""


def knee_counts(gains: dict[str, Values]) -> np.ndarray:
    """Return whether (...) a knee counts: the broken form beats every rival."""
    return np.all([low > 0 for _, low, _ in gains.values()], axis=0)


class Compared:
    """The four forms on some curves. knees: the values of z = log(p/(n·d)) that are tried as a
    knee. Where there is none, nothing is compared."""

    def __init__(self, curves: Sequence[np.ndarray]):
        """curves: z of each curve's cells."""
        self.curves = curves
        self.knees = knees_of(curves)
        names = (*RIVALS, BROKEN) if len(self.knees) else ()
        self.shapes = {form: Shape(form, curves, self.knees) for form in names}

    def judge(self, y: Sequence[np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, Values]]:
        """Return each form's mean squared error (..., C) on each curve, with its shape from the
        others, and what the broken form gains on each rival. y: (..., K) of each curve."""
        freedom = np.array([len(curve) - 1 for curve in self.curves])
        fitted, misses = {}, {}
        for form, shape in self.shapes.items():
            products = shape.products(y)
            fitted[form] = shape.fit_others(products)
            misses[form] = shape.squared_error(products, fitted[form]) / freedom

        gains = {}
        for form in RIVALS:
            gain = misses[form] - misses[BROKEN]
            if form in NESTED:
                given_back = self._apart(form, fitted) / freedom
                gains[form] = _mean_with_interval(gain + given_back)
            else:
                gains[form] = _mean_with_interval(gain, shared=1 / (len(self.curves) - 1))
        return misses, gains

    def knee(self, y: Sequence[np.ndarray]) -> Knee:
        """Return the broken form's knee, with intervals from the fits without each curve (the
        jackknife's pseudo-values)."""
        shape = self.shapes[BROKEN]
        products = shape.products(y)
        whole = self._place_and_slopes(shape.fit(products))[0]
        without = self._place_and_slopes(shape.fit_others(products))

        count = len(without)
        pseudo = count * whole - (count - 1) * without
        place, below, above = (
            _around(float(value), values) for value, values in zip(whole, pseudo.T, strict=True)
        )
        low, at, high = sorted(place)
        return Knee((float(np.exp(at)), float(np.exp(low)), float(np.exp(high))), below, above)

    def _place_and_slopes(self, fitted: Fitted) -> np.ndarray:
        return np.column_stack([self.knees[fitted.place], fitted.coefficients])

    def _apart(self, form: str, fitted: dict[str, Fitted]) -> np.ndarray:
        """Return each curve's squared distance (..., C) between the predictions of a form and of
        the broken one."""
        found = []
        for curve in range(len(self.curves)):
            own, broken = (self.shapes[f].predicted(curve, fitted[f]) for f in (form, BROKEN))
            found.append(((own - broken) ** 2).sum(-1))
        return np.stack(found, -1)


def _mean_with_interval(values: np.ndarray, shared: float = 0.0) -> Values:
    """Return the means (...) of a value per curve (..., C) with their t intervals.

    shared: what is added to the variance of the mean, as a share of that of a value, because the
    values come from overlapping fits (Nadeau & Bengio 2003: cells judged over cells fitted).
    """
    count = values.shape[-1]
    mean = values.mean(-1)
    error = values.std(-1, ddof=1) * np.sqrt(1 / count + shared)
    half = t.ppf((1 + LEVEL) / 2, count - 1) * error
    return mean, mean - half, mean + half


def _around(estimate: float, pseudo: np.ndarray) -> Interval:
    """Return an estimate with the t interval of its pseudo-values, laid around it."""
    _, low, high = _floats(_mean_with_interval(pseudo))
    half = (high - low) / 2
    return estimate, estimate - half, estimate + half


def _floats(values: Values) -> Interval:
    value, low, high = (float(end) for end in values)
    return value, low, high
