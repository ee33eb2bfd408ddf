"""C2: fitting smoothly takes p ≈ n·d. Do n and d act through p/(n·d)?"""

import numpy as np

from reports.claims.claim import UNTESTED, Finding, Statement
from reports.evidence import Evidence
from reports.fit_numbers import collapse_numbers
from reports.law import Fits, KindCollapse
from reports.numbers import Sentence

STATEMENT = Statement(
    "C2",
    "Fitting them smoothly takes p ≈ n·d: what counts is p/(n·d)",
    "Bubeck & Sellke 2021 (arXiv 2105.12806)",
    "Exponents of n and d over that of p in stability, below the noise. Supported if both intervals"
    " contain 1, are narrower than 1, exclude 0, and p/(n·d) predicts held-out combinations at"
    " least as well as p/n. Contradicted if an interval excludes 1 and the free exponents predict"
    " held-out combinations better than p/(n·d). The law itself is a one-sided bound and does not"
    " require the collapse.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    findings = [_sentence(c) for c in fits.collapses]
    judged = [c.collapse for c in fits.collapses if not c.collapse.failure]
    if not findings:
        return UNTESTED
    against = [
        any(not low <= 1 <= high for _, low, high in (c.ratio_n, c.ratio_d) if np.isfinite(low))
        and c.errors["free"] < c.errors["p/(n·d)"]
        for c in judged
    ]
    if any(against):
        return Finding("contradicted", findings)
    both = [c for c in judged if np.isfinite(c.ratio_d[1])]
    narrow = [
        all(
            low <= 1 <= high and high - low <= 1 and low > 0
            for _, low, high in (c.ratio_n, c.ratio_d)
        )
        and c.errors["p/(n·d)"] <= c.errors["p/n"]
        for c in both
    ]
    return Finding("supported" if both and all(narrow) else "undecided", findings)


def _sentence(found: KindCollapse) -> Sentence:
    """The ratios of one collapse test in a line, or why there are none."""
    numbers = collapse_numbers(found)
    text, parts = "", {}
    for i, name in enumerate(name for name in ("b_n/b", "b_d/b") if f"{name} low" in numbers):
        text += f"{', ' if i else ''}{name} = {{v{i}}} ({{l{i}}} to {{h{i}}})"
        parts |= {
            f"v{i}": numbers[name],
            f"l{i}": numbers[f"{name} low"],
            f"h{i}": numbers[f"{name} high"],
        }
    if found.collapse.failure:
        text += "; {why}" if text else "{why}"
    return Sentence(
        "{kind}: " + text + ".", {"kind": found.kind, "why": found.collapse.failure, **parts}
    )
