"""How well forms foresee the largest runs: each is fitted without them and then asked for them.

Held out are the units (clusters, or cells) of most compute: a fifth of them, at least three, and
whole budgets together.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t

from harness.errors import UserError
from reports.fits.slope import LEVEL
from reports.scaling.fitting import NAN
from reports.scaling.form import Form
from reports.scaling.objective import Objective
from reports.scaling.points import Points
from reports.scaling.problem import Problem

SHARE = 0.2
LEAST = 3
CANDIDATE = 1.5
"""Points for each parameter that must be left for a form to be the headline: with fewer, a form of
many parameters foresees a few runs by luck."""
ALIKE = 0.05
"""Runs whose compute, or other size, differs by less than this share belong to one budget and go
together. Where a loss is the only input there are no budgets."""


class HeldOut(NamedTuple):
    """A form's residuals on the held-out runs.

    signed: mean over units of log(predicted/measured), or of predicted − measured for linear
    residuals; negative where the form predicts too low; with its 95 % t interval over units. error:
    root mean square of the residuals, as a share of the measure for log residuals. difference: mean
    |residual| over units less that of the headline form, with its interval: above 0 where the form
    is worse. The ends are NaN with fewer than three units. failure: why the form was not judged.
    residuals: of each held-out unit. note: why the form is no candidate for the headline.
    """

    form: str
    cells: int
    rows: int
    signed: float
    signed_low: float
    signed_high: float
    error: float
    difference: float
    difference_low: float
    difference_high: float
    failure: str
    residuals: np.ndarray
    note: str = ""


def is_candidate(found: HeldOut) -> bool:
    """Return whether a form may be the headline: it is judged, and has points enough."""
    return not found.failure and not found.note


def is_near(found: HeldOut) -> bool:
    """Return whether a candidate is not told from the headline form by the held-out runs."""
    return is_candidate(found) and not found.difference_low > 0


def held_out_rows(points: Points) -> np.ndarray:
    """Return which rows are held out, (K,)."""
    size = _compute(points)
    units = points.units
    count = int(units.max()) + 1
    largest = np.array([size[units == unit].max() for unit in range(count)])
    held = max(LEAST, round(SHARE * count))
    if held >= count:
        return np.zeros(len(size), bool)
    alike = 0.0 if set(points.inputs) == {"L"} else ALIKE
    last = largest >= np.sort(largest)[-held] - alike
    return last[units]


def _compute(points: Points) -> np.ndarray:
    """Return the logarithm of each row's size: of N·D, of x, or less the loss where that alone is
    the input."""
    sizes = [np.log(points.inputs[role]) for role in ("N", "D", "X") if role in points.inputs]
    return np.sum(sizes, axis=0) if sizes else -np.asarray(points.inputs["L"], float)


def held_out(points: Points, forms: Sequence[Form], objective: Objective) -> list[HeldOut]:
    """Return every form's residuals, the least error first. The first is the headline form; forms
    that are no candidates, and then those that could not be judged, come last."""
    out = held_out_rows(points)
    judged = [_judge(points, form, objective, out) for form in forms]
    judged.sort(key=lambda h: (bool(h.failure), bool(h.note), h.error))
    first = judged[0]
    if first.failure:
        return judged
    return [first._replace(difference=0.0), *(_beside(h, first) for h in judged[1:])]


def _judge(points: Points, form: Form, objective: Objective, out: np.ndarray) -> HeldOut:
    units = points.units[out]
    nothing = HeldOut(
        form=form.name,
        cells=len(np.unique(points.cells[out])),
        rows=int(out.sum()),
        signed=NAN,
        signed_low=NAN,
        signed_high=NAN,
        error=NAN,
        difference=NAN,
        difference_low=NAN,
        difference_high=NAN,
        failure="",
        residuals=np.array([]),
    )
    if not out.any():
        return nothing._replace(failure="too few points to hold any out")
    try:
        problem = Problem.of(form, points.subset(~out), objective)
    except UserError as error:
        return nothing._replace(failure=f"without the held-out runs: {error}")

    left, k = len(np.unique(points.units[~out])), len(form.parameters)
    if left < CANDIDATE * k:
        noun = "clusters" if points.cluster is not None else "points"
        nothing = nothing._replace(note=f"{left} {noun} are left for {k} parameters")
    best = problem.search().z[:1]
    asked = problem.centred({role: values[out] for role, values in points.inputs.items()})
    predicted = problem.values(best, asked)[0]
    measured = points.y[out]
    if objective.residual == "log":
        if not (predicted > 0).all():
            return nothing._replace(failure="predicts values below 0 there")
        residuals = np.log(predicted / measured)
    else:
        residuals = predicted - measured
    if not np.isfinite(residuals).all():
        return nothing._replace(failure="predicts nothing finite there")

    each = np.array([residuals[units == unit].mean() for unit in np.unique(units)])
    signed, low, high = _mean(each)
    error = float(np.sqrt(np.mean(residuals**2)))
    return nothing._replace(
        signed=signed,
        signed_low=low,
        signed_high=high,
        error=float(np.expm1(error)) if objective.residual == "log" else error,
        residuals=each,
    )


def _beside(rival: HeldOut, first: HeldOut) -> HeldOut:
    if rival.failure:
        return rival
    difference, low, high = _mean(np.abs(rival.residuals) - np.abs(first.residuals))
    return rival._replace(difference=difference, difference_low=low, difference_high=high)


def _mean(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean with the ends of its 95 % t interval; NaN ends below three values."""
    mean = float(values.mean())
    count = len(values)
    if count < LEAST:
        return mean, NAN, NAN
    half = float(t.ppf((1 + LEVEL) / 2, count - 1) * values.std(ddof=1) / np.sqrt(count))
    return mean, mean - half, mean + half
