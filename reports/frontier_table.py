"""The slopes of the searches for the most robust fit, in the columns of `reports.law_table`.

rows = frontier_rows(fit_frontier(radii_of(searches, trials)))
"""

from collections.abc import Sequence
from typing import Any

from reports.fits.common_slope import LEVEL, CommonSlope
from reports.frontier import FRONTIER, PAST, SHARE
from reports.frontier_answer import PER_SAMPLE, FrontierFit

OBJECTIVE = (
    "least squares of log(measure) on log({against}), every search the same weight; a level for"
    " each {group}"
)
FILTER_D = (
    "p/n = {ratios} in nets of the least depth, where r_law lies below r∞ and the measure is at"
    f" most {SHARE:g} r∞"
)
FILTER_P = (
    f"p from {PAST:g} times the onset's on, measure at most {SHARE:g} r∞, curves that span a decade"
    " of p at a steady slope"
)


def frontier_rows(fits: Sequence[FrontierFit]) -> list[dict[str, Any]]:
    """Return the exponents of each problem: of d at fixed p/n, one for each ratio and one for all
    together, and of p. Each row has the verdict on its problem."""
    rows = []
    for fit in fits:
        for ratio, slope in fit.by_ratio.items():
            rows.append(_row(fit, slope, "d", FILTER_D.format(ratios=ratio), "n"))
        all_ratios = " or ".join(map(str, PER_SAMPLE))
        by_d = FILTER_D.format(ratios=all_ratios)
        rows.append(_row(fit, fit.dimension, "d", by_d, "p/n and n"))
        rows.append(_row(fit, fit.size, "p", FILTER_P, "curve"))
    return rows


def _row(
    fit: FrontierFit, slope: CommonSlope, against: str, rule: str, group: str
) -> dict[str, Any]:
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
        "objective": OBJECTIVE.format(against=against, group=group),
        "rows": len(slope.trials),
        "cells": slope.cells,
        "curves": slope.groups,
        "left_out": 0,  # a radius of 0 is not fitted, and the filter leaves it out
        "held_out": float("nan"),
        "failure": slope.failure,
    }
