"""Every form that a table allows, judged by how it foresees the largest runs.

    report = audit(points)
    report.headline, report.why, report.fits[report.headline]

The headline is the form with the least held-out error, whatever its name, of those that have
points enough.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import UserError
from reports.scaling.fitting import Fit, fit_form
from reports.scaling.form import Form
from reports.scaling.forms import form_named, forms_for
from reports.scaling.held_out import HeldOut, held_out, held_out_rows, is_candidate, is_near
from reports.scaling.number import number
from reports.scaling.objective import HUBER, Objective
from reports.scaling.points import Points

REPEATED = 1.05
"""Tokens over distinct tokens from which tokens count as repeated."""


@dataclass(frozen=True)
class Audit:
    """headline: name of the candidate with the least held-out error. why: how it was chosen, and
    whether its rivals can be told from it. fits: form → fit. failures: form → why
    there is none. held_out: best first. held_out_what: which runs were held out. warnings: about
    the table as a whole."""

    headline: str
    why: str
    fits: dict[str, Fit]
    failures: dict[str, str]
    held_out: tuple[HeldOut, ...]
    held_out_what: str
    warnings: tuple[str, ...]


def audit(
    points: Points,
    forms: Sequence[str] | None = None,
    objective: Objective = HUBER,
    intervals: bool = True,
) -> Audit:
    """Fit and judge the forms of these names, or every form that the inputs allow. Raise UserError
    where none can be fitted."""
    asked = [form_named(name) for name in forms] if forms else forms_for(set(points.inputs))
    fits: dict[str, Fit] = {}
    failures: dict[str, str] = {}
    for form in asked:
        try:
            fits[form.name] = fit_form(form, points, objective, intervals)
        except UserError as error:
            failures[form.name] = str(error)
    if not fits:
        raise UserError(next(iter(failures.values()), "the table has no input of any form"))

    judged = held_out(points, [fits[name].form for name in fits], objective)
    headline = judged[0].form
    if judged[0].failure:
        headline = _simplest([fit.form for fit in fits.values()])
    what = _what(points)
    return Audit(
        headline=headline,
        why=_why(judged, headline, what, objective),
        fits=fits,
        failures=failures,
        held_out=tuple(judged),
        held_out_what=what,
        warnings=tuple(_warnings(points)),
    )


def _simplest(forms: list[Form]) -> str:
    return min(forms, key=lambda form: len(form.parameters)).name


def _why(judged: list[HeldOut], headline: str, what: str, objective: Objective) -> str:
    """Return how the headline form was chosen, in words."""
    first = judged[0]
    if first.failure:
        return (
            f"no form is judged by held-out runs ({first.failure}); {headline} has the fewest"
            " parameters"
        )
    candidates = [found for found in judged if is_candidate(found)]
    comes = f"{headline} comes"
    if not candidates:
        comes = f"no form has points enough; {comes}"
    elif len(candidates) > 1:
        comes = f"Of {len(candidates)} forms with points enough, {comes}"
    why = (
        f"{comes} closest to {what}, which were held out: it misses them by"
        f" {missed_by(first, objective)}"
    )
    rivals = [found for found in judged[1:] if not found.failure]
    if rivals and len(candidates) == 1:
        return f"{why}; no rival has points enough to be compared"
    if len(candidates) < 2 or any(is_near(found) for found in candidates[1:]):
        return why
    return f"{why}; every rival is worse, by an interval that excludes 0"


def missed_by(found: HeldOut, objective: Objective) -> str:
    """Return a form's held-out error: in per cent where residuals are of logarithms."""
    if objective.residual == "log":
        return f"{100 * found.error:.2f} %"
    return number(found.error)


def _what(points: Points) -> str:
    out = held_out_rows(points)
    if not out.any():
        return "none: too few points"
    noun = "clusters" if points.cluster is not None else "points"
    count = len(np.unique(points.units[out]))
    if set(points.inputs) == {"L"}:
        return f"the {count} {noun} of least loss"
    names = [points.name(role) for role in ("N", "D", "X") if role in points.inputs]
    return f"the {count} {noun} of largest {'·'.join(names)}"


def _warnings(points: Points) -> Iterator[str]:
    """Yield what speaks against the table as a whole."""
    if "U" in points.inputs and "D" in points.inputs:
        epochs = float((points.inputs["D"] / points.inputs["U"]).max())
        if epochs < REPEATED:
            yield f"no tokens are repeated, so {points.name('U')} tells nothing about repetition"
    elif "D" in points.inputs:
        yield (
            f"{points.name('D')} counts as distinct tokens: if a run repeats its data, name the"
            " column of distinct tokens (U)"
        )
