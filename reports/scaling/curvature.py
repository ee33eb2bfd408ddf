"""Whether a form bends away from a table: a test for what is left of a curve in its residuals.

The residuals are regressed on the squared logarithm of each size, beside the form's own
derivatives, so that only a bend that its parameters cannot follow counts (an added-variable, or
score, test). Standard errors are robust to clusters. Several sizes share the 5 % (Bonferroni).
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import t

from reports.scaling.fitting import Fit
from reports.scaling.points import Points

LEVEL = 0.05
CLIP = 3.0
"""Residuals beyond so many median deviations count as if there: one outlier is no bend."""


class Bend(NamedTuple):
    """role: of the size that the residuals bend with. share: by how much the measure lies above
    the form at the ends of that size: its logarithm where the residuals are of logarithms, else in
    the unit of the measure. p: of the test."""

    role: str
    share: float
    p: float


def bends(fit: Fit, points: Points) -> list[Bend]:
    """Return a test for each input, the smallest p first; none where too little is left."""
    problem = fit.problem
    fitted, slopes = problem.evaluate(fit.z[None], problem.runs.inputs)
    residuals = problem.runs.target - fitted[0]
    middle = np.median(residuals)
    spread = 1.4826 * np.median(np.abs(residuals - middle)) or residuals.std()
    residuals = np.clip(residuals, middle - CLIP * spread, middle + CLIP * spread)

    unit = 1.0 if fit.objective.residual == "log" else problem.scale.measure
    tests = []
    for i, role in enumerate(fit.form.inputs):
        size = problem.runs.inputs[i]
        along = 2 * (size - size.min()) / np.ptp(size) - 1
        found = _added(residuals, slopes[0], along**2, points.units)
        if found is not None:
            coefficient, p = found
            tests.append(Bend(role, coefficient * unit, min(p * len(fit.form.inputs), 1.0)))
    return sorted(tests, key=lambda bend: bend.p)


def _added(
    residuals: np.ndarray, slopes: np.ndarray, added: np.ndarray, units: np.ndarray
) -> tuple[float, float] | None:
    """Return the coefficient of the added variable and the p of its being 0."""
    count = int(units.max()) + 1
    spare = count - slopes.shape[1] - 1
    if spare < 3:
        return None
    norms = np.linalg.norm(slopes, axis=0)
    basis = np.linalg.qr(slopes[:, norms > 0] / norms[norms > 0])[0]
    left = added - basis @ (basis.T @ added)
    own = residuals - basis @ (basis.T @ residuals)
    square = left @ left
    if square < 1e-8 * (added @ added):
        return None
    coefficient = float(left @ own / square)
    scores = np.bincount(units, left * (own - coefficient * left))
    error = np.sqrt(scores @ scores * count / spare) / square
    if error == 0:
        return None
    return coefficient, float(2 * t.sf(abs(coefficient) / error, spare))


def verdict(fit: Fit, points: Points) -> str:
    """Return what the test says, in words."""
    tests = bends(fit, points)
    if not tests:
        return "too few points to test whether the form bends away from them"
    first = tests[0]
    name = points.name(first.role)
    if first.p > LEVEL:
        return f"the residuals show no bend that the form misses (p = {first.p:.2g})"
    side = "above" if first.share > 0 else "below"
    amount = f"{abs(first.share):.2g} in the unit of the measure"
    if fit.objective.residual == "log":
        amount = f"{abs(np.expm1(first.share)):.2%}"
    return (
        f"the residuals bend with {name} (p = {first.p:.2g}): at its ends the measure lies"
        f" {amount} further {side} the form {fit.form.name} than in the middle"
    )
