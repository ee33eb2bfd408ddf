"""The slopes of the searches for the most robust fit, in the columns of `reports.law_table`.

rows = frontier_rows(fit_frontier(radii_of(searches, trials)))
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from reports.fits.common_slope import LEVEL, CommonSlope
from reports.frontier import FRONTIER, NEAR, PAST, SHARE
from reports.frontier_answer import PER_SAMPLE, STEADY, FrontierFit, at_ratios

OBJECTIVE = (
    "least squares of log(measure) on log({against}), every search the same weight; a level for"
    " each {group}"
)
WIDENED = "; the interval is widened by the slope of the search gap against {against}"
WITHIN = f"within {NEAR:.0%}".replace("%", " %")
FILTER_D = (
    f"p/n = {{ratios}} ({WITHIN}) in nets of the least depth, where r_law lies below r∞ or is not"
    f" known, and the measure is at most {SHARE:g} r∞; two or more d a level"
)
FILTER_P = (
    f"p from {PAST:g} times the onset's on ({WITHIN}), measure at most {SHARE:g} r∞, curves that"
    f" span a decade of p, over which the local slope moves by at most ±{STEADY:g}"
)


def frontier_rows(fits: Sequence[FrontierFit]) -> list[dict[str, Any]]:
    """Return the exponents of each problem: of d at fixed p/n, one for each ratio and one for all
    together, and of p. Each row has the verdict on its problem."""
    rows = []
    for fit in fits:
        may_bind = fit.rows[fit.rows["binds"] | ~fit.rows["law_known"]]
        of_d = {(k,): slope for k, slope in fit.by_ratio.items()} | {PER_SAMPLE: fit.dimension}
        for ratios, slope in of_d.items():
            at = at_ratios(may_bind, ratios)
            by_d = FILTER_D.format(ratios=" or ".join(map(str, ratios)))
            group = "n" if len(ratios) == 1 else "p/n and n"
            rows.append(_row(fit, slope, "d", by_d, group, at[~at["fitted"]]))

        unfitted = fit.rows[~fit.rows["fitted"]]
        steady = [curve for curve, moved in fit.bends.items() if moved <= STEADY]
        past = unfitted["p"] >= (1 - NEAR) * PAST * unfitted["onset"]
        lost = unfitted[past & unfitted["curve"].isin(steady)]
        rows.append(_row(fit, fit.size, "p", FILTER_P, "curve", lost))
    return rows


def _row(
    fit: FrontierFit, slope: CommonSlope, against: str, rule: str, group: str, lost: pd.DataFrame
) -> dict[str, Any]:
    """Return the row of one exponent. lost: the radii that its filter would take, of cells in which
    a search fitted no radius."""
    objective = OBJECTIVE + (WIDENED if fit.gap is not None else "")
    return {
        "kind": fit.problem,
        "measure": FRONTIER,
        "against": against,
        "slope": slope.slope,
        "low": slope.low,
        "high": slope.high,
        "level": LEVEL,
        "verdict": fit.verdict,
        "filter": rule,
        "from_onset": int(PAST) if against == "p" else 1,
        "objective": objective.format(against=against, group=group),
        "rows": len(slope.trials),
        "cells": slope.cells,
        "curves": slope.groups,
        "left_out": int(lost["trial_id"].map(len).sum()),
        "held_out": float("nan"),
        "failure": slope.failure,
    }
