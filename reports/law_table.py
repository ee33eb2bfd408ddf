"""What the report states about the law, kind by kind, as a table.

table = law_table(latest_rows("runs/quickstart"))
table[table.verdict != ""][["kind", "measure", "slope", "low", "high", "verdict"]]
"""

from typing import Any

import pandas as pd

from harness.errors import UserError, did_you_mean
from harness.store.replaced import replaced
from harness.store.schema import arrow_schema
from reports.entries import in_arrow
from reports.evidence import parted, trials_of
from reports.fits.slope import LEVEL, Slope
from reports.frontier import radii_of
from reports.frontier_answer import fit_frontier
from reports.frontier_table import frontier_rows
from reports.law import FILTERS, KindFit, fit_kinds, fit_slopes
from reports.measures import MEASURES

OBJECTIVE = (
    "least squares of log(measure) on log(p) along each curve, every trial the same weight; then"
    " the mean over curves"
)
FILTER = "p above the curve's onset, on curves with at least 3 such sizes"

COLUMNS = (
    "kind",
    "measure",
    "against",
    "slope",
    "low",
    "high",
    "level",
    "verdict",
    "filter",
    "from_onset",
    "objective",
    "rows",
    "cells",
    "curves",
    "left_out",
    "held_out",
    "failure",
)
"""kind: the trials that share the slope, and of searches for the most robust fit the problem that
they search. measure: a column of the rows or one derived from them. against: p, or d in rows of
searches. slope: of log(measure) against the logarithm of that; low and high: the ends of its
interval at `level`. verdict: what the report says of it by the law, of a search's problem as a
whole; empty for a measure that no law bounds. filter and objective: which rows entered, and what
was minimised. from_onset: the multiple of the onset's p that the cells begin at. rows, cells,
curves: their numbers. left_out: rows whose value has no logarithm, of searches all rows of a cell
with a radius of 0. held_out: typical factor by which a fit without each curve's largest size misses
that size; NaN for searches. failure: why there is no slope."""


def law_table(rows: pd.DataFrame, from_onset: int = 1) -> pd.DataFrame:
    """Return the COLUMNS of each kind and measure that the report fits.

    rows: those of `latest_rows`, all or some, with all of their columns. from_onset: 1 for the
    slopes that the report states; 2, 4 or 8 for those that it asks whether a verdict hangs on the
    filter. Searches for the most robust fit come last; they have one filter, so among the slopes
    that the report states alone.

    Raises UserError for another filter, and for rows that lack a column.
    """
    if from_onset not in FILTERS:
        raise UserError(f"from_onset is {from_onset!r}; allowed are {', '.join(map(str, FILTERS))}")
    ok = _ok_trials(rows)
    trials, searched, _ = parted(ok)
    slopes = fit_slopes(trials)
    of_kind = {fit.kind: fit for fit in fit_kinds(trials, slopes)}

    order = {measure.column: place for place, measure in enumerate(MEASURES)}
    found = [
        _row(of_kind[kind], column, slope, from_onset)
        for (factor, kind, column), slope in slopes.items()
        if factor == from_onset
    ]
    found.sort(key=lambda row: (row["kind"], order[row["measure"]]))
    if from_onset == FILTERS[0]:
        found += frontier_rows(fit_frontier(radii_of(searched, trials)))
    return pd.DataFrame(found, columns=list(COLUMNS))


def _ok_trials(rows: pd.DataFrame) -> pd.DataFrame:
    schema = arrow_schema()
    for name in schema.names:
        if name not in rows:
            hint = did_you_mean(name, map(str, rows.columns))
            raise UserError(
                f"the rows lack the column '{name}'; pass what unilaw.rows(STORE) returned, all or"
                f" some rows of it, with all columns{hint}"
            )

    nested = {field.name: in_arrow(field.type) for field in schema if in_arrow(field.type)}
    newest = rows[schema.names].astype(nested).reset_index(drop=True)
    still_failed = newest["status"].eq("failed") & ~newest["trial_id"].isin(replaced(newest))
    return trials_of(newest, newest[still_failed])


def _verdict(fit: KindFit, column: str, from_onset: int) -> str:
    """Return the verdict on a slope: the report's own on the stated one, and what the interval
    alone says on those of other filters."""
    judged = fit.verdicts.get(column)
    if judged is None:
        return ""
    return judged.verdict if from_onset == FILTERS[0] else judged.filtered[from_onset][1]


def _row(fit: KindFit, column: str, slope: Slope, from_onset: int) -> dict[str, Any]:
    further = "" if from_onset == 1 else f", from {from_onset} times the onset's p on"
    return {
        "kind": fit.kind,
        "measure": column,
        "against": "p",
        "slope": slope.slope,
        "low": slope.low,
        "high": slope.high,
        "level": LEVEL,
        "verdict": _verdict(fit, column, from_onset),
        "filter": FILTER + further,
        "from_onset": from_onset,
        "objective": OBJECTIVE,
        "rows": len(slope.trials),
        "cells": slope.cells,
        "curves": slope.curves,
        "left_out": slope.dropped,
        "held_out": slope.held_out,
        "failure": slope.failure,
    }
