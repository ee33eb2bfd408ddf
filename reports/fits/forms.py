"""Is one power law enough? Four forms of a measure against size, and which of them predicts best.

In each, the curves of a kind share a shape and have a level of their own. With z = log(p/(n·d)):

- *power law*: log y = level + b·z
- *logarithm*: log y = level + log(1 + c·z'), that is y = A + B·ln p; z' = z less its smallest value
- *levelling*: log y = level + b·min(z, knee)
- *broken*: log y = level + b₁·min(z, knee) + b₂·max(z − knee, 0)

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

POWER, LOGARITHM, LEVELLING, BROKEN = "power law", "logarithm", "levelling", "broken"

NESTED = (POWER, LEVELLING)
"""Rivals that the broken form contains."""

RATIOS = np.concatenate([-np.geomspace(8, 0.01, 80), [0.0], np.geomspace(0.01, 8, 80)])
"""Logarithms of the ratio between the values at the largest and at the smallest z' that A + B·ln p
tries: rising, flat and falling."""
KNEES = 80
"""Knees that are tried."""
SIZES_EACH_SIDE = 2
"""Sizes that must lie on each side of a knee, over all curves: fewer do not show a slope."""

SINGULAR = 1e-9
"""Smallest share of the largest direction's square that counts as varying."""

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
    less that of the broken form, adjusted as above, with a 95 % interval over curves; positive
    where the broken form predicts better. broken: the knee of the broken form, whether it counts or
    not. knee: the same where it counts, otherwise None.
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


_Shape = tuple[np.ndarray, np.ndarray]


class _Curve(NamedTuple):
    """Cells of one curve: z = log(p/(n·d)) and the mean log value."""

    z: np.ndarray
    y: np.ndarray


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

    features = _features(curves, knees)
    sums = {form: _sums(own, curves) for form, own in features.items()}
    freedom = np.array([len(curve.z) - 1 for curve in curves])
    shapes = {form: _left_out(own, form) for form, own in sums.items()}
    misses = {form: _squared_error(sums[form], *shape) / freedom for form, shape in shapes.items()}
    gains = {}
    for form, miss in misses.items():
        if form == BROKEN:
            continue
        gain = miss - misses[BROKEN]
        if form in NESTED:
            adjusted = gain + _apart(features, form, shapes) / freedom
            gains[form] = _mean_with_interval(adjusted)
        else:
            gains[form] = _mean_with_interval(gain, shared=1 / (len(curves) - 1))
    broken = _knee(sums[BROKEN], knees)
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
    """Return the places at which a knee is looked for. They lie much closer than sizes do: a
    levelling form whose knee is misplaced would look like a broken one."""
    z = np.unique(np.concatenate([curve.z for curve in curves]))
    inner = z[SIZES_EACH_SIDE - 1 : len(z) - SIZES_EACH_SIDE + 1]
    return np.linspace(inner[0], inner[-1], KNEES) if len(inner) > 1 else np.empty(0)


class _Sums(NamedTuple):
    """Cross-products of C sets of cells at each of G knees or ratios, for m features.

    Every curve is centred, because it has a level of its own. So the sums of some curves are the
    sum of theirs, and a curve is left out by subtraction.
    """

    matrix: np.ndarray
    """(C, G, m, m) features with features."""
    vector: np.ndarray
    """(C, G, m) features with y."""
    square: np.ndarray
    """(C,) y with y."""


def _features(curves: Sequence[_Curve], knees: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Return each form's features of each curve, (G, K, m)."""
    first = min(float(curve.z.min()) for curve in curves)
    last = max(float(curve.z.max()) for curve in curves)
    growth = np.expm1(RATIOS)[:, None]
    features: dict[str, list[np.ndarray]] = {POWER: [], LOGARITHM: [], LEVELLING: [], BROKEN: []}
    for curve in curves:
        below = np.minimum(curve.z, knees[:, None])
        above = np.maximum(curve.z - knees[:, None], 0.0)
        features[POWER].append(curve.z[None, :, None])
        share = (curve.z - first) / (last - first)
        features[LOGARITHM].append(np.log1p(growth * share)[:, :, None])
        features[LEVELLING].append(below[:, :, None])
        features[BROKEN].append(np.stack([below, above], axis=2))
    return features


def _sums(features: Sequence[np.ndarray], curves: Sequence[_Curve]) -> _Sums:
    matrices, vectors, squares = [], [], []
    for feature, curve in zip(features, curves, strict=True):
        x = feature - feature.mean(axis=1, keepdims=True)
        y = curve.y - curve.y.mean()
        matrices.append(x.transpose(0, 2, 1) @ x)
        vectors.append(y @ x)
        squares.append(y @ y)
    return _Sums(np.array(matrices), np.array(vectors), np.array(squares))


def _best(sums: _Sums, free: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return the place (C,) of the least squared error for each set of cells, and the coefficients
    (C, m) there. free: they are fitted; otherwise they are 1."""
    coefficients = np.ones(sums.vector.shape)
    if free:
        # A direction in which the cells do not vary gets the coefficient 0.
        inverse = np.linalg.pinv(sums.matrix, rcond=SINGULAR, hermitian=True)
        coefficients = np.einsum("cgij,cgj->cgi", inverse, sums.vector)
    explained = 2 * (coefficients * sums.vector).sum(-1) - np.einsum(
        "cgi,cgij,cgj->cg", coefficients, sums.matrix, coefficients
    )
    place = explained.argmax(axis=1)
    return place, coefficients[np.arange(len(place)), place]


def _left_out(sums: _Sums, form: str) -> _Shape:
    """Return, for each curve, the shape of the other curves: its place (C,) and coefficients
    (C, m)."""
    return _best(_others(sums), free=form != LOGARITHM)


def _squared_error(sums: _Sums, place: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Return each curve's squared error (C,) under a shape of its own."""
    each = np.arange(len(place))
    along = (coefficients * sums.vector[each, place]).sum(-1)
    size = np.einsum("ci,cij,cj->c", coefficients, sums.matrix[each, place], coefficients)
    return np.maximum(sums.square - 2 * along + size, 0.0)


def _apart(
    features: dict[str, list[np.ndarray]], form: str, shapes: dict[str, _Shape]
) -> np.ndarray:
    """Return each curve's squared distance (C,) between the predictions of a form and of the broken
    one."""
    found = []
    for curve in range(len(features[form])):
        predicted = []
        for name in (form, BROKEN):
            place, coefficients = shapes[name]
            line = features[name][curve][place[curve]] @ coefficients[curve]
            predicted.append(line - line.mean())
        found.append(((predicted[0] - predicted[1]) ** 2).sum())
    return np.array(found)


def _others(sums: _Sums) -> _Sums:
    """Return, for each curve, the sums of all the others."""
    return _Sums(*(total.sum(0) - total for total in sums))


def _mean_with_interval(values: np.ndarray, shared: float = 0.0) -> Interval:
    """Return the mean of a value per curve with its t interval.

    shared: what is added to the variance of the mean, as a share of that of a value, because the
    values come from overlapping fits (Nadeau & Bengio 2003: cells judged over cells fitted).
    """
    mean = float(values.mean())
    error = float(values.std(ddof=1) * np.sqrt(1 / len(values) + shared))
    half = float(t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return mean, mean - half, mean + half


def _knee(sums: _Sums, knees: np.ndarray) -> Knee:
    """Return the broken form's knee, with intervals from the fits without each curve (the
    jackknife's pseudo-values)."""
    at, slopes = _best(_Sums(*(total.sum(0)[None] for total in sums)))
    whole = np.array([knees[at[0]], *slopes[0]])
    at, slopes = _best(_others(sums))
    without = np.column_stack([knees[at], slopes])

    count = len(without)
    pseudo = count * whole - (count - 1) * without
    place, below, above = (
        _around(float(value), values) for value, values in zip(whole, pseudo.T, strict=True)
    )
    low, at, high = sorted(place)
    return Knee((float(np.exp(at)), float(np.exp(low)), float(np.exp(high))), below, above)


def _around(estimate: float, pseudo: np.ndarray) -> Interval:
    """Return an estimate with the t interval of its pseudo-values, laid around it."""
    _, low, high = _mean_with_interval(pseudo)
    half = (high - low) / 2
    return estimate, estimate - half, estimate + half
