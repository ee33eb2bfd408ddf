"""Every form that a table allows, judged by how it foresees the largest runs.

    report = audit(points)
    report.headline, report.why, report.fits[report.headline]

The headline is the form with the least held-out error, whatever its name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import UserError
from reports.scaling.curvature import verdict
from reports.scaling.fitting import Fit, fit_form
from reports.scaling.form import Form
from reports.scaling.forms import form_named, forms_for
from reports.scaling.held_out import HeldOut, held_out, held_out_rows
from reports.scaling.objective import HUBER, Objective
from reports.scaling.points import Points
from reports.scaling.sensitivity import Change, sensitivity

REPEATED = 1.05
"""Tokens over distinct tokens from which tokens count as repeated."""


@dataclass(frozen=True)
class Audit:
    """headline: name of the form with the least held-out error. why: how it was chosen, and which
    rivals are not told from it. fits: form → fit. failures: form → why there is none. held_out:
    best first. held_out_what: which runs were held out. sensitivity and curvature: of the headline
    form. warnings: about the table as a whole."""

    headline: str
    why: str
    fits: dict[str, Fit]
    failures: dict[str, str]
    held_out: tuple[HeldOut, ...]
    held_out_what: str
    sensitivity: tuple[Change, ...]
    curvature: str
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
    fit = fits[headline]
    return Audit(
        headline=headline,
        why=_why(judged, headline, fit),
        fits=fits,
        failures=failures,
        held_out=tuple(judged),
        held_out_what=_what(points),
        sensitivity=sensitivity(fit, points),
        curvature=verdict(fit, points),
        warnings=tuple(_warnings(points)),
    )


def _simplest(forms: list[Form]) -> str:
    return min(forms, key=lambda form: len(form.parameters)).name


def _why(judged: list[HeldOut], headline: str, fit: Fit) -> str:
    first = judged[0]
    if first.failure:
        return (
            f"no form is judged by held-out runs ({first.failure}); {headline} has the fewest"
            " parameters"
        )
    log = fit.objective.residual == "log"
    error = f"{first.error:.2%}" if log else f"{first.error:.3g}"
    why = f"{headline} misses the held-out runs least, by {error}"
    rivals = [h for h in judged[1:] if not h.failure]
    if not rivals:
        return why
    near = [h.form for h in rivals if not h.note and not h.difference_low > 0]
    if near:
        return f"{why}; {', '.join(near)} {'is' if len(near) == 1 else 'are'} not told from it"
    if all(h.note for h in rivals):
        return f"{why}; no rival has points enough to be compared"
    return f"{why}; every rival is worse by an interval that excludes 0"


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
