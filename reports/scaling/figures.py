"""A table's fit as plain values, for JSON: `unilaw fit TABLE --json`.

`KEYS` documents each key; the file carries the text under "keys".
"""

import math
from typing import TYPE_CHECKING, Any

import harness
from reports.scaling.fitting import Estimate, Fit
from reports.scaling.words import first

if TYPE_CHECKING:
    from reports.scaling.table_fit import TableFit

FORMAT = 1
"""Version of these keys."""
KEYS = {
    "format": "version of these keys",
    "unilaw": "version that wrote the file",
    "answer": "the opening sentences, the first of which says what the rows cannot tell",
    "table": "its name; which column is which; rows fitted; rows that the filter leaves out; the"
    " filter; whether only the lowest row of each point is kept; notes",
    "objective": "what was minimised, in words and by its arguments",
    "headline": "the form that misses the held-out runs least, of those with points enough, and how"
    " it was chosen",
    "fits": "each form's formula, source, value of the objective, starts of the search that went to"
    " the end (the best of those tried) and the share of them that agrees, rows, cells, clusters,"
    " ranges, how intervals were made, warnings, and parameters; a parameter without an interval"
    " has null ends, and a note that says why; forms that were not asked for and are not the"
    " headline have no intervals",
    "failures": "forms that could not be fitted, and why",
    "held_out": "each form fitted without the largest runs: cells and rows held out; mean residual"
    " (of log predicted/measured, unless residuals are linear) with 95 % interval; root mean square"
    " error; mean absolute residual less that of the headline form, with 95 % interval; failure:"
    " why it is not judged; note: why it is no candidate for the headline, such as few points for"
    " its parameters",
    "held_out_what": "the runs that were held out",
    "sensitivity": "exponents of the form shown first, before and after one change",
    "curvature": "whether the form shown first bends away from the rows",
    "optimum": "the best split of the budget, or why there is none; null where none was asked for",
    "warnings": "about the table as a whole",
}
"""Key of the file → what it holds."""


def as_figures(fitted: "TableFit") -> dict[str, Any]:
    """Return everything that was found. A value that is not finite is null."""
    loaded, audit = fitted.loaded, fitted.audit
    return {
        "format": FORMAT,
        "keys": KEYS,
        "unilaw": harness.__version__,
        "answer": list(first(fitted)),
        "table": {
            "name": loaded.table,
            "columns": {role: loaded.points.name(role) for role in (*loaded.points.inputs, "Y")},
            "rows": loaded.rows,
            "left_out": loaded.left_out,
            "where": list(loaded.where),
            "lowest": loaded.lowest,
            "notes": list(loaded.notes),
        },
        "objective": {"text": str(fitted.objective), **fitted.objective._asdict()},
        "headline": {"form": audit.headline, "why": audit.why},
        "fits": {name: _fit(fit) for name, fit in audit.fits.items()},
        "failures": audit.failures,
        "held_out": [
            {
                key: _finite(value)
                for key, value in found._asdict().items()
                if key != "residuals"  # an array, from which the others are computed
            }
            for found in audit.held_out
        ],
        "held_out_what": audit.held_out_what,
        "sensitivity": [
            {key: _finite(value) for key, value in change._asdict().items()}
            for change in fitted.sensitivity
        ],
        "curvature": fitted.curvature,
        "optimum": _optimum(fitted),
        "warnings": list(audit.warnings),
    }


def _optimum(fitted: "TableFit") -> dict[str, Any] | None:
    best = fitted.optimum
    if best is None:
        return None
    if isinstance(best, str):
        return {"form": fitted.form, "failure": best}
    return {
        "form": fitted.form,
        "flops": best.budget,
        **{estimate.key: _estimate(estimate) for estimate in (best.N, best.D, best.loss)},
        "extrapolation": best.extrapolation,
    }


def _fit(fit: Fit) -> dict[str, Any]:
    return {
        "formula": fit.form.formula,
        "source": fit.form.source,
        "objective": _finite(fit.cost),
        "starts": fit.starts,
        "starts_tried": fit.tried,
        "agreement": fit.agreement,
        "rows": fit.rows,
        "cells": fit.cells,
        "clusters": fit.clusters,
        "ranges": {role: list(ends) for role, ends in fit.ranges.items()},
        "intervals": fit.interval,
        "warnings": list(fit.warnings),
        "parameters": {key: _estimate(e) for key, e in fit.parameters.items()},
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    values = {key: _finite(value) for key, value in estimate._asdict().items()}
    del values["key"]
    return values


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
