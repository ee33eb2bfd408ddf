"""Is one power law enough? Four forms of a measure against size, and which of them predicts best.

In each, the curves of a kind share a shape and have a level of their own. With z = log(p/(n·d)):

- *power law*: log y = level + b·z
- *logarithm*: log y = level + log(1 + c·z'), that is y = A + B·ln p; z' = z less its smallest value
- *levelling*: log y = level + b·min(z, knee)
- *broken*: log y = level + b₁·min(z, knee) + b₂·max(z − knee, 0)

A form is judged on curves that it has not seen: its shape comes from the other curves, only the
level from the curve itself. A knee counts where the broken form beats all three others so, each by
a difference whose 95 % interval excludes 0. Asking for all three at once keeps the rate of false
knees below 5 % without any adjustment (an intersection–union test, Berger 1982).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t

from reports.fits.cells import cells_of, members_of
from reports.fits.random_slope import LEVEL, OWN_CURVES

POWER, LOGARITHM, LEVELLING, BROKEN = "power law", "logarithm", "levelling", "broken"

STEEPNESSES = np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 61)])
"""Values of c that are tried. With z' from 0 to some units, c = 0 is flat, and beyond 1e3 the form
no longer changes."""
MOST_KNEES = 40
"""Knees that are tried: the places between neighbouring sizes, or as many quantiles of them."""
SIZES_EACH_SIDE = 2
"""Sizes that must lie on each side of a knee, over all curves: fewer do not show a slope."""

Interval = tuple[float, float, float]
"""An estimate and the ends of its interval."""


class Knee(NamedTuple):
    """Where the slope changes, as p/(n·d), and the slopes on both sides: a jackknife over curves,
    with t intervals."""

    place: Interval
    below: Interval
    above: Interval


class Forms(NamedTuple):
    """How the forms predict curves that they have not seen.

    errors: typical factor, exp(RMS log error), of each form. gains: rival → its squared log error
    less that of the broken form, with a 95 % interval over curves; positive where the broken form
    predicts better. broken: the knee of the broken form, whether it counts or not. knee: the same
    where it counts, otherwise None.
    """

    errors: dict[str, float]
    gains: dict[str, Interval]
    broken: Knee | None
    knee: Knee | None
    cells: int
    curves: int
    trials: tuple[str, ...]
    failure: str = ""

    @property
    def best(self) -> str:
        """Return the form of least held-out error; it need not be better by more than chance."""
        return min(self.errors, key=self.errors.__getitem__)


class _Curve(NamedTuple):
    """Cells of one curve: z = log(p/(n·d)) and the mean log value."""

    z: np.ndarray
    y: np.ndarray


_Shape = Callable[[np.ndarray], np.ndarray]
"""A form with its parameters: z (K,) to log y (K,) up to a level."""


def fit_forms(rows: pd.DataFrame, column: str) -> Forms:
    """Compare the forms over the cells of one kind.

    rows: columns trial_id, cell, curve, p, n, d_ambient and `column`. Objective: least squares on
    logarithms, every cell the same weight; knee and steepness over a grid. Below three curves, or
    without sizes on both sides of any knee, `failure` says so and nothing is compared.
    """
    used = rows[(rows[column] > 0) & rows["n"].notna()]
    cells = cells_of(used, column)
    curves = [_Curve(*pair) for pair in _pairs(cells)]
    nothing = Forms({}, {}, None, None, len(cells), len(curves), tuple(used["trial_id"]))
    if len(curves) < OWN_CURVES:
        why = f"{len(curves)} curves are too few to compare forms (at least {OWN_CURVES})"
        return nothing._replace(failure=why)
    knees = _knees(curves)
    if not len(knees):
        return nothing._replace(failure="the curves have too few sizes for a slope on two sides")

    misses = {form: np.empty(len(curves)) for form in (POWER, LOGARITHM, LEVELLING, BROKEN)}
    without: list[tuple[float, float, float]] = []
    for j, curve in enumerate(curves):
        others = curves[:j] + curves[j + 1 :]
        shapes, broken = _fit_shapes(others, knees)
        without.append(broken)
        for form, shape in shapes.items():
            residual = curve.y - shape(curve.z)
            misses[form][j] = residual.var(ddof=1)

    gains = {
        form: _mean_with_interval(miss - misses[BROKEN])
        for form, miss in misses.items()
        if form != BROKEN
    }
    broken = _knee(_fit_shapes(curves, knees)[1], without)
    counts = all(low > 0 for _, low, _ in gains.values())
    return nothing._replace(
        errors={form: float(np.exp(np.sqrt(miss.mean()))) for form, miss in misses.items()},
        gains=gains,
        broken=broken,
        knee=broken if counts else None,
    )


def _pairs(cells: pd.DataFrame) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return z and y of each curve of at least two sizes."""
    if not len(cells):
        return []
    z = np.log((cells["p"] / (cells["n"] * cells["d"])).to_numpy(float))
    y = cells["log_y"].to_numpy()
    members = [own for own in members_of(cells["curve"]) if len(own) > 1]
    return [(z[own], y[own]) for own in members]


def _knees(curves: Sequence[_Curve]) -> np.ndarray:
    """Return the places at which a knee is looked for."""
    z = np.unique(np.concatenate([curve.z for curve in curves]))
    inner = z[SIZES_EACH_SIDE - 1 : len(z) - SIZES_EACH_SIDE + 1]
    between = (inner[1:] + inner[:-1]) / 2
    if len(between) > MOST_KNEES:
        return np.quantile(between, np.linspace(0, 1, MOST_KNEES))
    return between


def _fit_shapes(
    curves: Sequence[_Curve], knees: np.ndarray
) -> tuple[dict[str, _Shape], tuple[float, float, float]]:
    """Return each form fitted to the curves, and the broken form's knee and its two slopes."""
    y = _centred([curve.y for curve in curves])

    b, _ = _least_squares([[curve.z] for curve in curves], y)
    shapes: dict[str, _Shape] = {POWER: lambda z: b[0] * z}

    first = min(float(curve.z.min()) for curve in curves)

    def logarithm(c: float) -> _Shape:
        return lambda z: np.log1p(c * np.maximum(z - first, 0.0))

    missed = [
        float(((y - _centred([logarithm(c)(curve.z) for curve in curves])) ** 2).sum())
        for c in STEEPNESSES
    ]
    shapes[LOGARITHM] = logarithm(float(STEEPNESSES[int(np.argmin(missed))]))

    levelling = [
        (*_least_squares([[np.minimum(curve.z, k)] for curve in curves], y), k) for k in knees
    ]
    slope, _, at = min(levelling, key=lambda fit: fit[1])
    shapes[LEVELLING] = lambda z: slope[0] * np.minimum(z, at)

    broken = [(*_least_squares([_two_sides(curve.z, k) for curve in curves], y), k) for k in knees]
    (below, above), _, knee = min(broken, key=lambda fit: fit[1])
    shapes[BROKEN] = lambda z: below * np.minimum(z, knee) + above * np.maximum(z - knee, 0.0)
    return shapes, (float(knee), float(below), float(above))


def _two_sides(z: np.ndarray, knee: float) -> list[np.ndarray]:
    return [np.minimum(z, knee), np.maximum(z - knee, 0.0)]


def _least_squares(
    designs: Sequence[Sequence[np.ndarray]], y: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the coefficients and the squared error of a shape that is linear in them. designs:
    each curve's columns; y: the curves' values, centred and joined."""
    x = np.column_stack([_centred(columns) for columns in zip(*designs, strict=True)])
    coefficients = np.linalg.lstsq(x, y, rcond=None)[0]
    return coefficients, float(((y - x @ coefficients) ** 2).sum())


def _centred(curves: Sequence[np.ndarray]) -> np.ndarray:
    """Join curves, each less its mean: every curve has its own level."""
    return np.concatenate([values - values.mean() for values in curves])


def _mean_with_interval(values: np.ndarray) -> Interval:
    """Return the mean of a value per curve with its t interval."""
    mean = float(values.mean())
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    half = float(t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return mean, mean - half, mean + half


def _knee(whole: tuple[float, float, float], without: Sequence[tuple[float, float, float]]) -> Knee:
    """Return the knee with intervals from the fits without each curve (the jackknife's pseudo-
    values)."""
    count = len(without)
    pseudo = count * np.array(whole) - (count - 1) * np.array(without)
    place, below, above = (
        _around(value, values) for value, values in zip(whole, pseudo.T, strict=True)
    )
    low, at, high = sorted(place)
    return Knee((float(np.exp(at)), float(np.exp(low)), float(np.exp(high))), below, above)


def _around(estimate: float, pseudo: np.ndarray) -> Interval:
    """Return an estimate with the t interval of its pseudo-values, laid around it."""
    _, low, high = _mean_with_interval(pseudo)
    half = (high - low) / 2
    return estimate, estimate - half, estimate + half
