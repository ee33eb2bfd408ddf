"""C2b: what counts is p/(n·d). Do n and d act on stability through p/(n·d)?"""

from typing import Any

import numpy as np

from reports.claims.claim import UNTESTED, Finding, Statement
from reports.evidence import Evidence
from reports.fit_numbers import collapse_numbers
from reports.fits.slope import Collapse
from reports.law import Fits, KindCollapse
from reports.numbers import Sentence

STATEMENT = Statement(
    "C2b",
    "What counts is p/(n·d): trained models' stability depends on p, n and d through it alone",
    "a reading of Bubeck & Sellke 2021 (arXiv 2105.12806)",
    "The exponents of n and d in stability, below the noise, each divided by that of p. Supported"
    " if both intervals contain 1, exclude 0 and are narrower than 1, and p/(n·d) predicts"
    " held-out combinations at least as well as p/n. Contradicted if an interval excludes 1 and"
    " the free exponents predict held-out combinations better than p/(n·d). The law itself is a"
    " one-sided bound and does not require the collapse.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    if not fits.collapses:
        return UNTESTED
    sentences = [_sentence(collapse) for collapse in fits.collapses]
    judged = [c.collapse for c in fits.collapses if not c.collapse.failure]

    if any(_contradicts(collapse) for collapse in judged):
        return Finding("contradicted", sentences)
    of_n_and_d = [collapse for collapse in judged if np.isfinite(collapse.ratio_d[1])]
    supported = of_n_and_d and all(_supports(collapse) for collapse in of_n_and_d)
    return Finding("supported" if supported else "undecided", sentences)


def _contradicts(collapse: Collapse) -> bool:
    excludes_one = any(
        np.isfinite(low) and not low <= 1 <= high
        for _, low, high in (collapse.ratio_n, collapse.ratio_d)
    )
    return excludes_one and collapse.errors["free"] < collapse.errors["p/(n·d)"]


def _supports(collapse: Collapse) -> bool:
    holds_one = all(
        low <= 1 <= high and high - low <= 1 and low > 0
        for _, low, high in (collapse.ratio_n, collapse.ratio_d)
    )
    return holds_one and collapse.errors["p/(n·d)"] <= collapse.errors["p/n"]


def _sentence(collapse: KindCollapse) -> Sentence:
    """State the ratios of one collapse test, or why there are none."""
    numbers = collapse_numbers(collapse)
    parts: dict[str, Any] = {"kind": collapse.kind, "why": collapse.collapse.failure}
    phrases = []
    for ratio in ("b_n/b", "b_d/b"):
        if f"{ratio} low" not in numbers:
            continue
        i = len(phrases)
        phrases.append(f"{ratio} = {{v{i}}} ({{l{i}}} to {{h{i}}})")
        parts |= {
            f"v{i}": numbers[ratio],
            f"l{i}": numbers[f"{ratio} low"],
            f"h{i}": numbers[f"{ratio} high"],
        }

    text = ", ".join(phrases)
    if collapse.collapse.failure:
        text += "; {why}" if text else "{why}"
    return Sentence("{kind}: " + text + ".", parts)
