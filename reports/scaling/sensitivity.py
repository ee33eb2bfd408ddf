"""What the exponents of a fit hang on: single clusters, the convention of an input, δ, and the
highest losses."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from harness.errors import UserError
from reports.scaling.fitting import Fit, compute_exponent, fit_form
from reports.scaling.number import number
from reports.scaling.objective import Objective
from reports.scaling.points import Points

MOST = 200
"""Units that are left out one at a time; of more, so many evenly spread."""
HIGHEST = (1, 5)
"""So many rows of the highest measure are left out."""
DELTAS = (10.0, 0.1)
"""Factors that δ is changed by."""


class Change(NamedTuple):
    """An exponent before and after one change to the table or to the objective."""

    what: str
    key: str
    before: float
    after: float


def sensitivity(fit: Fit, points: Points) -> tuple[Change, ...]:
    """Return how each headline exponent, and each derived one, changes. Of the units that are left
    out one at a time, the one that moves an exponent most."""
    changes = [*_units(fit, points)]
    for what, other in _others(fit, points):
        try:
            again = fit_form(fit.form, other, fit.objective, intervals=False)
        except UserError:
            continue
        changes += _between(what, fit, again)
    for what, objective in _objectives(fit):
        changes += _between(what, fit, fit_form(fit.form, points, objective, intervals=False))
    return tuple(changes)


def _between(what: str, fit: Fit, again: Fit) -> Iterator[Change]:
    keys = [*fit.form.headline, *(e.key for e in fit.derived)]
    for key in keys:
        yield Change(what, key, fit[key].value, again[key].value)


def _units(fit: Fit, points: Points) -> Iterator[Change]:
    """Yield the largest change of each exponent among the units left out, all fitted at once."""
    units = points.units
    count = int(units.max()) + 1
    left = np.unique(np.linspace(0, count - 1, min(count, MOST)).round().astype(int))
    weights = (units[None, :] != left[:, None]).astype(float)
    enough = [len(np.unique(points.cells[weight > 0])) > len(fit.z) for weight in weights]
    left, weights = left[enough], weights[enough]
    if not len(left):
        return

    starts = np.repeat(fit.z[None], len(left), axis=0)
    values = fit.problem.units(fit.problem.refit(starts, weights).z)
    after_of = {key: values[:, fit.form.keys.index(key)] for key in fit.form.headline}
    exponents = compute_exponent(fit.form, values)
    if exponents is not None:
        after_of["compute_exponent"] = exponents
    for key, after in after_of.items():
        most = int(np.abs(after - fit[key].value).argmax())
        what = f"without {_unit_name(points, int(left[most]))}"
        yield Change(what, key, fit[key].value, float(after[most]))


def _unit_name(points: Points, unit: int) -> str:
    """Return a cluster's label, or the inputs of a cell."""
    row = int(np.flatnonzero(points.units == unit)[0])
    if points.cluster is not None:
        return f"{points.names.get('cluster', 'cluster')} {points.cluster[row]}"
    sizes = ", ".join(
        f"{points.name(role)} {number(values[row])}" for role, values in points.inputs.items()
    )
    return f"the runs at {sizes}"


def _others(fit: Fit, points: Points) -> Iterator[tuple[str, Points]]:
    """Yield tables with other conventions, and without the highest values."""
    for role, values in points.alternatives.items():
        if role in fit.form.inputs:
            name = points.names.get(f"other {role}", f"the other convention of {role}")
            yield f"with {name}", replace(points, inputs={**points.inputs, role: values})
    order = np.argsort(points.y)
    for k in HIGHEST:
        if k < len(order):
            kept = np.sort(order[:-k])
            rows = "the highest value" if k == 1 else f"the {k} highest values"
            yield f"without {rows} of {points.name('Y')}", points.subset(kept)


def _objectives(fit: Fit) -> Iterator[tuple[str, Objective]]:
    """Yield other objectives."""
    objective = fit.objective
    if objective.loss == "huber":
        for factor in DELTAS:
            delta = objective.delta * factor
            yield f"with Huber's δ = {delta:g}", objective._replace(delta=delta)
        yield "with squares", objective._replace(loss="squared")
    else:
        yield f"with Huber's δ = {objective.delta:g}", objective._replace(loss="huber")
