"""Every fitted figure of a report as plain values, for JSON.

    unilaw report STORE --format json

`KEYS` documents each key; the file carries the text under "keys".
"""

import math
from datetime import UTC, datetime
from typing import Any

import harness
from harness.store.rules import RULES
from harness.store.schema import SCHEMA_VERSION
from reports.answer import answer_sentences
from reports.claims import check_claims
from reports.comparison import Change, Comparison
from reports.evidence import Evidence
from reports.fits.slope import LEVEL, Slope
from reports.frontier_answer import FrontierFit, Mean
from reports.law import Fits
from reports.measures import MEASURES
from reports.numbers import Number, Sentence
from reports.sections.counts import count_trials

FORMAT = 1
"""Version of these keys."""
KEYS = {
    "format": "version of these keys",
    "written": "when the file was written, UTC",
    "versions": "unilaw that wrote the file; its row schema; the verdicts' rules, with their hash"
    " and the time from which they hold",
    "stores": "names of the stores whose rows these are",
    "where": "conditions that chose the rows; empty: all rows",
    "sweeps": "names of the sweeps that were run into the stores",
    "counts": "counts and sums over the trials, each with how it was computed",
    "answer": "the page's answer in sentences",
    "slopes": "slope of log(measure) against log(p), a mean over curves, for each kind and measure;"
    " low and high: ends of the interval at `level`; cells, curves, trials: the numbers behind it;"
    " from: multiple of the onset's p at which the cells begin; failure: why there is no slope",
    "verdicts": "the law's verdict on each kind and measure that it bounds",
    "frontier": "searches for the most robust fit, by problem: the exponents of d at fixed p/n and"
    " of p (on the sphere widened by the search gap), and the constant r*·sqrt(n·d/p), each with"
    " its 95 % interval",
    "claims": "published statements: rule, verdict, findings, and the numbers in them, each with"
    " the number of trials behind it",
    "comparison": "what changed from the first of two stores to the second, with --compare; apart:"
    " after − before of a slope, the logarithm of after/before of a constant or a cell",
    "against": "the rows beside those of a suite, with --against; figures as in comparison, before"
    " being the reference",
    "null": "a value that is not known",
}
"""Key → what it holds."""


def as_figures(
    evidence: Evidence, fits: Fits, compared: Comparison | None = None
) -> dict[str, Any]:
    """Return the report's figures as plain values, with None for what is not known. compared: what
    changed between two stores."""
    counts = count_trials(evidence)
    figures = {
        "format": FORMAT,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "unilaw": harness.__version__,
            "row_schema": SCHEMA_VERSION,
            "rules": RULES.version,
            "rules_hash": RULES.hash,
            "rules_since": RULES.since.isoformat(),
        },
        "stores": list(evidence.stores),
        "where": list(evidence.where),
        "sweeps": sorted({sweep.name for sweep in evidence.sweeps}),
        "counts": {name: _number(number) for name, number in counts.items()},
        "answer": [_sentence(sentence) for sentence in answer_sentences(evidence, fits)],
        "slopes": [
            {"kind": kind, "measure": column, "from": factor, **_slope(slope)}
            for (factor, kind, column), slope in sorted(
                fits.filtered.items(), key=lambda item: (item[0][1], _place(item[0][2]), item[0][0])
            )
        ],
        "verdicts": [
            {"kind": fit.kind, "family": fit.family, "measure": column, "verdict": found.verdict}
            for fit in fits.kinds
            for column, found in fit.verdicts.items()
        ],
        "frontier": [_frontier(fit) for fit in fits.frontier],
        "claims": [
            {
                **claim.statement._asdict(),
                "verdict": claim.verdict,
                "findings": [_sentence(finding) for finding in claim.findings],
            }
            for claim in check_claims(evidence, fits)
        ],
    }
    if compared is not None:
        figures["comparison"] = comparison_figures(compared)
    return {**figures, "keys": KEYS}


def comparison_figures(found: Comparison) -> dict[str, Any]:
    parts = {"slopes": found.slopes, "constants": found.constants, "cells": found.cells}
    changes = {name: [_change(change) for change in own] for name, own in parts.items()}
    return {"stores": found.names, "same_cells": found.same, "only": found.only, **changes}


def _change(change: Change) -> dict[str, Any]:
    numbers = ("before", "after", "apart", "low", "high")
    return {
        "what": change.what,
        "measure": change.column,
        **{name: _finite(getattr(change, name)) for name in numbers},
        "beyond_noise": change.beyond,
        "trials": len(change.trials),
        "basis": change.basis,
        "failure": change.failure or None,
    }


def _place(column: str) -> int:
    """Return a measure's place among the measures."""
    return next(k for k, measure in enumerate(MEASURES) if measure.column == column)


def _slope(slope: Slope) -> dict[str, Any]:
    return {
        "slope": _finite(slope.slope),
        "low": _finite(slope.low),
        "high": _finite(slope.high),
        "level": LEVEL,
        "cells": slope.cells,
        "curves": slope.curves,
        "trials": len(slope.trials),
        "smallest_curve": _finite(slope.smallest),
        "largest_curve": _finite(slope.largest),
        "left_out": slope.dropped,
        "failure": slope.failure or None,
    }


def _frontier(fit: FrontierFit) -> dict[str, Any]:
    exponents = {
        name: {
            "exponent": _finite(slope.slope),
            "low": _finite(slope.low),
            "high": _finite(slope.high),
            "trials": len(slope.trials),
            "failure": slope.failure or None,
        }
        for name, slope in (("d", fit.dimension), ("p", fit.size))
    }
    return {
        "problem": fit.problem,
        "verdict": fit.verdict,
        "exponents": exponents,
        "constant": _mean(fit.constant),
        "plain_over_frontier": _mean(fit.plain),
        "cells": fit.cells,
        "cells_where_the_law_can_bind": fit.binding,
    }


def _mean(mean: Mean | None) -> dict[str, Any] | None:
    if mean is None:
        return None
    return {
        "value": _finite(mean.value),
        "low": _finite(mean.low),
        "high": _finite(mean.high),
        "cells": mean.cells,
        "trials": len(mean.trials),
    }


def _sentence(sentence: Sentence) -> dict[str, Any]:
    return {"text": str(sentence), "numbers": [_number(n) for n in sentence.numbers()]}


def _number(number: Number) -> dict[str, Any]:
    return {**number.as_json(), "trials": len(number.trials)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
