"""What speaks against trusting a fit's parameters, in words."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from reports.scaling.draws import least_units
from reports.scaling.form import LEAST
from reports.scaling.number import number, span
from reports.scaling.points import LOGARITHMIC, Points

if TYPE_CHECKING:
    from reports.scaling.fitting import Fit

COLLINEAR = 0.95
"""Correlation of two sizes' logarithms above which their exponents are hardly told apart."""
NARROW = 4.0
"""Factor between the smallest and the largest of a size below which it hardly shows an exponent."""
AGREEMENT = 0.25
"""Share of starts below which the best minimum may have been found by luck."""
END = 0.01
"""Share of a parameter's range within which it counts as lying at the end."""
VAGUE = 1.0
"""Width of an exponent's interval over its value from which the exponent is hardly known."""


def doubts(fit: "Fit", points: Points) -> Iterator[str]:
    """Yield one sentence for each reason to doubt the parameters."""
    yield from _design(fit, points)
    yield from _ends(fit)
    yield from _search(fit)
    yield from _vague(fit)
    yield from _repeated(fit, points)


def _design(fit: "Fit", points: Points) -> Iterator[str]:
    k = len(fit.z)
    needed = least_units(k)
    if fit.cells < needed:
        yield f"{fit.cells} different points are few for {k} parameters"

    sizes = [role for role in fit.form.inputs if role in LOGARITHMIC]
    for role in sizes:
        low, high = fit.ranges[role]
        if high < NARROW * low:
            yield (
                f"{points.name(role)} spans only {span(low, high)}, which hardly shows an exponent"
            )
    if sizes[:2] == ["N", "D"]:
        logs = np.log([points.inputs["N"], points.inputs["D"]])
        correlation = np.corrcoef(logs)[0, 1]
        if abs(correlation) > COLLINEAR:
            yield (
                f"{points.name('N')} and {points.name('D')} lie nearly on one line (correlation of"
                f" logarithms {correlation:.3f}), so that their exponents are hardly told apart"
            )


def _ends(fit: "Fit") -> Iterator[str]:
    engine = fit.problem.engine
    for estimate, parameter in zip(fit.estimates, fit.form.parameters, strict=True):
        if estimate.value == 0:
            yield f"{estimate.symbol} is 0: the table shows no such term"
        elif np.isfinite([parameter.low, parameter.high]).all():
            reach = END * (parameter.high - parameter.low)
            if not parameter.low + reach * 0.1 < estimate.value < parameter.high - reach:
                yield (
                    f"{estimate.symbol} = {number(estimate.value)} lies at the end of its range,"
                    f" {number(parameter.low)} to {number(parameter.high)}"
                )
    inside = (fit.z > engine.low) & (fit.z < engine.high)
    named = any(e.value == 0 for e in fit.estimates)
    if not inside.all() and not named and (np.abs(fit.z[~inside]) > 10 * LEAST).any():
        yield "a parameter lies at the end of what these sizes can show"


def _search(fit: "Fit") -> Iterator[str]:
    if fit.agreement < AGREEMENT:
        yield (
            f"only {round(fit.agreement * fit.starts)} of {fit.starts_said} of the search end at"
            " this minimum: there may be a lower one"
        )


def _vague(fit: "Fit") -> Iterator[str]:
    for estimate in fit.estimates:
        known = np.isfinite([estimate.low, estimate.high]).all()
        width = estimate.high - estimate.low
        if estimate.key in fit.form.headline and known and width > VAGUE * abs(estimate.value):
            yield (
                f"{estimate.symbol} is hardly determined: {number(estimate.low)} to"
                f" {number(estimate.high)} fit as well"
            )
        if estimate.key == "E" and known and estimate.low <= 0 < estimate.value:
            yield f"{estimate.symbol} is not told from 0"


def _repeated(fit: "Fit", points: Points) -> Iterator[str]:
    if "U" not in points.inputs or "D" not in fit.form.inputs:
        return
    epochs = float((points.inputs["D"] / points.inputs["U"]).max())
    if "U" not in fit.form.inputs and epochs > 1.5:
        yield (
            f"tokens are repeated up to {epochs:.3g} times, and the form {fit.form.name} counts"
            " every repetition as new"
        )
    elif "U" in fit.form.inputs and epochs - 1 < fit["RD"].value:
        yield (
            f"R_D* = {fit['RD'].value:.3g} is more than the {epochs - 1:.3g} repetitions of the"
            " table, and is extrapolated"
        )
