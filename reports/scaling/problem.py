"""A form, a table and an objective as one problem for the solver.

    problem = Problem.of(form, points, objective)
    z, costs = problem.search()
    problem.units(z)

The solver sees centred inputs and a target; `units` turns its parameters into the user's.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from harness.errors import UserError
from reports.fits import huber
from reports.fits.huber import Runs
from reports.scaling.form import Form, Scale
from reports.scaling.objective import Objective
from reports.scaling.points import LOGARITHMIC, Points

KEEP = 64
"""Starts that go on after their coefficients are found: those of the least objective. What is said
of how many agree is of these."""
STEPS_OF_SEARCH = 200
STEPS = 100
"""Of a fit that begins near its minimum."""
HIGH = 1e3
"""Target that stands for a value that has none: no step ends there."""


class Minima(NamedTuple):
    """z (S, k) and objective (S,) where each start ended, the best first."""

    z: np.ndarray
    cost: np.ndarray


@dataclass(frozen=True)
class Problem:
    """scale: what centring took out. runs: centred inputs and the target. rising: the measure
    rises with size, or with the loss that is the input."""

    form: Form
    objective: Objective
    scale: Scale
    runs: Runs
    rising: bool

    @classmethod
    def of(cls, form: Form, points: Points, objective: Objective) -> "Problem":
        """Centre the table. Raise UserError where the form lacks an input, the measure has no
        logarithm, or nothing varies."""
        _check(form, points, objective)
        sizes = np.array(
            [
                np.log(points.inputs[role]) if role in LOGARITHMIC else points.inputs[role]
                for role in form.inputs
            ],
            float,
        )
        centre = sizes.mean(1)
        for i, role in enumerate(form.inputs):
            if role in form.apart:
                centre[i] = 0
            if role == "U":
                # Tokens and distinct tokens must keep their ratio.
                centre[i] = centre[form.inputs.index("D")]

        y = np.asarray(points.y, float)
        log = objective.residual == "log"
        measure = float(np.exp(np.log(y).mean()) if log else np.median(np.abs(y)) or 1.0)
        target = np.log(y / measure) if log else y / measure
        order = rankdata(sizes, axis=1).sum(0)
        # Along one budget N·D is the same everywhere: nothing then rises with size.
        rising = bool(np.ptp(order) > 0 and np.corrcoef(order, rankdata(y))[0, 1] > 0)
        runs = Runs(sizes - centre[:, None], target)
        return cls(form, objective, Scale(centre, measure), runs, rising)

    @cached_property
    def delta(self) -> float:
        """Return δ in the unit of the target."""
        if self.objective.loss == "squared":
            return np.inf
        log = self.objective.residual == "log"
        return self.objective.delta if log else self.objective.delta / self.scale.measure

    @cached_property
    def engine(self) -> huber.Form:
        """Return the form as the solver takes it."""
        return self.engine_for(self.runs.inputs)

    def engine_for(self, inputs: np.ndarray) -> huber.Form:
        """Return the form with the ranges and starts that these inputs set."""
        form = self.form
        low, high = (np.array(ends, float) for ends in zip(*form.ranges(inputs), strict=True))
        nonlinear = form.starts(inputs)
        starts = np.column_stack([self._coefficients(nonlinear, low, high), nonlinear])
        for i in form.mirrored if self.rising != form.rises else ():
            low[i], high[i] = -high[i], -low[i]
            starts[:, i] *= -1
        return huber.Form(self.evaluate, form.linear, low, high, starts)

    def _coefficients(self, nonlinear: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return where coefficients start, (S, linear): equal shares of the typical measure, and
        small ones where a term is subtracted, so that no value lies below 0."""
        form = self.form
        shares = np.full((len(nonlinear), form.linear), 1 / form.linear)
        if form.begin:
            shares[:] = form.begin
        if form.mirrored and (form.rises or self.rising != form.rises):
            shares[:] = 1.0
            z = np.column_stack([shares, nonlinear])
            for i in form.mirrored:
                alone = z.copy()
                alone[:, : form.linear] = 0
                alone[:, i] = 1
                largest = np.abs(form.value(alone, self.runs.inputs)).max(1)
                shares[:, i] = 0.3 / len(form.mirrored) / np.maximum(largest, 1e-300)
        return np.clip(shares, low[: form.linear], high[: form.linear])

    def evaluate(self, z: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the predicted target and its derivatives."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            value, slopes = self.form.evaluate(z, inputs)
            if self.objective.residual == "log":
                slopes *= (1 / value)[:, :, None]
                value = np.log(value)
            # Derivatives are finite where values are, and one sum is cheaper than asking them all.
            fine = np.isfinite(value.sum())
        if not fine:
            lost = ~np.isfinite(value) | ~np.isfinite(slopes).all(2)
            value = np.where(np.isfinite(value), value, HIGH)
            slopes = np.where(lost[:, :, None], 0, slopes)
        return value, slopes

    def search(self) -> Minima:
        """Return the minimum that each start leads to, of the KEEP best starts."""
        return Minima(*huber.search(self.engine, self.runs, self.delta, KEEP, STEPS_OF_SEARCH))

    def refit(
        self,
        starts: np.ndarray,
        weights: np.ndarray | None = None,
        target: np.ndarray | None = None,
        fixed: np.ndarray | None = None,
    ) -> Minima:
        """Return the minimum (P, k) from each start (P, k), for weights (P, K) and targets (P, K)
        of its own. fixed: parameters that stay."""
        weights = np.ones((len(starts), self.rows)) if weights is None else weights
        runs = self.runs if target is None else Runs(self.runs.inputs, target)
        return Minima(*huber.minimise(self.engine, starts, runs, weights, self.delta, fixed, STEPS))

    @property
    def rows(self) -> int:
        return self.runs.inputs.shape[1]

    def centred(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Return inputs in the user's units, (K,) each, as the form takes them, (m, K)."""
        values = [
            np.log(inputs[role]) if role in LOGARITHMIC else np.asarray(inputs[role], float)
            for role in self.form.inputs
        ]
        return np.array(np.broadcast_arrays(*values)) - self.scale.centre[:, None]

    def values(self, z: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """Return the measure (P, K), in the user's units, at centred inputs (m, K)."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return self.form.value(z, inputs) * self.scale.measure

    def units(self, z: np.ndarray) -> np.ndarray:
        """Return parameters (P, k) in the user's units."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return self.form.units(z, self.scale)

    def cost(self, minimum: float) -> float:
        """Return an objective in the user's units."""
        return minimum if self.objective.residual == "log" else minimum * self.scale.measure**2


def _check(form: Form, points: Points, objective: Objective) -> None:
    objective.check()
    missing = [role for role in form.inputs if role not in points.inputs]
    if missing:
        raise UserError(f"form {form.name}: needs {' and '.join(missing)}, which the table lacks")
    if objective.residual == "log" and len(points.y) and min(points.y) <= 0:
        row = int(np.argmin(points.y))
        raise UserError(
            f"{points.name('Y')} is {points.y[row]:g} in row {row + 1}: log residuals need values"
            " above 0; residuals may be linear instead"
        )
    if len(points.y) and np.ptp(points.y) == 0:
        raise UserError(f"{points.name('Y')} is {points.y[0]:g} in every row: nothing to fit")
    for role in form.inputs:
        if len(points.y) and np.ptp(points.inputs[role]) == 0:
            raise UserError(
                f"{points.name(role)} is {points.inputs[role][0]:g} in every row: the form"
                f" {form.name} needs it to vary"
            )
    cells = len(np.unique(points.of(form.inputs).cells))
    k = len(form.parameters)
    if cells <= k:
        raise UserError(
            f"form {form.name}: {cells} different points are too few for {k} parameters"
        )
