"""C2b: what counts is p/(n·d). Do n and d act on stability through p/(n·d)?"""

from typing import Any

import numpy as np

from reports.claims.claim import UNTESTED, Finding, Statement
from reports.evidence import Evidence
from reports.fit_numbers import collapse_numbers
from reports.fits.collapse import BY_LAW, FREE, Collapse, Interval
from reports.law import Fits, KindCollapse
from reports.numbers import Sentence
from reports.verdicts import CANNOT_TELL

POWER = 0.8
"""Probability with which the rows must be able to tell b_d = b from 0 before they support it."""
BY_LAW_READ = "stability depends on p/(n·d)"
BY_SAMPLES_READ = "stability depends on p/n and not on p/(n·d)"
NEITHER_READ = "stability depends on something else than p/(n·d)"

STATEMENT = Statement(
    "C2b",
    "What counts is p/(n·d): trained models' stability depends on p, n and d through it alone",
    "a reading of Bubeck & Sellke 2021 (arXiv 2105.12806)",
    "S ∝ p^b · n^(-b_n) · d^(-b_d) below the noise. Contradicted as the variable of the measure"
    " named if an interval of b_n - b or b_d - b excludes 0 and the free exponents predict left-out"
    " combinations of n and d better; the intervals of all collapses hold together at 95 %, so that"
    " a true p/(n·d) is contradicted in at most 5 % of stores. Supported if in every collapse with"
    " several d both intervals contain 0, b_n and b_d are told from 0, no other form predicts"
    " left-out combinations better by an interval that excludes 0, and b_d = b could have been told"
    " from 0 with a probability of at least 0.8. Undecided otherwise. The law is a one-sided bound"
    " and does not require the collapse.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    if not fits.collapses:
        return UNTESTED
    sentences = [_sentence(collapse) for collapse in fits.collapses]
    readings = [reading(c.collapse) for c in fits.collapses]

    if BY_SAMPLES_READ in readings or NEITHER_READ in readings:
        return Finding("contradicted", sentences)
    of_n_and_d = [
        read
        for c, read in zip(fits.collapses, readings, strict=True)
        if np.isfinite(c.collapse.b_d)
    ]
    supported = of_n_and_d and set(of_n_and_d) == {BY_LAW_READ}
    return Finding("supported" if supported else "undecided", sentences)


def reading(collapse: Collapse) -> str:
    """Return what a collapse says about the variable: one of the sentences above, or
    CANNOT_TELL."""
    if collapse.failure:
        return CANNOT_TELL
    n_differs = _excludes(collapse.difference_n, 0.0)
    d_differs = _excludes(collapse.difference_d, 0.0)
    if n_differs or d_differs:
        if collapse.gains[FREE][0] <= 0:
            return CANNOT_TELL
        acts_as_p_over_n = not n_differs and not _excludes(collapse.exponent_d, 0.0)
        return BY_SAMPLES_READ if acts_as_p_over_n else NEITHER_READ

    told_from_0 = _excludes(collapse.exponent_d, 0.0) and _excludes(
        collapse.difference_n, -collapse.b
    )
    better = any(low > 0 for form, (_, low, _) in collapse.gains.items() if form != BY_LAW)
    if told_from_0 and not better and collapse.power >= POWER:
        return BY_LAW_READ
    return CANNOT_TELL


def _excludes(interval: Interval, value: float) -> bool:
    """Return whether the interval is known and excludes the value."""
    _, low, high = interval
    return bool(np.isfinite(low)) and not low <= value <= high


def _sentence(test: KindCollapse) -> Sentence:
    """State the differences of one collapse test, what it could have told, and its reading; or why
    there are none."""
    collapse = test.collapse
    numbers = collapse_numbers(test)
    parts: dict[str, Any] = {"kind": test.kind, "why": collapse.failure}
    phrases = []
    for name in ("b_n - b", "b_d - b"):
        if f"{name} low" not in numbers:
            continue
        i = len(phrases)
        phrases.append(f"{name} = {{v{i}}} ({{l{i}}} to {{h{i}}})")
        parts |= {
            f"v{i}": numbers[name],
            f"l{i}": numbers[f"{name} low"],
            f"h{i}": numbers[f"{name} high"],
        }
    if collapse.failure:
        return Sentence("{kind}: {why}.", parts)

    parts["reading"] = reading(collapse)
    text = "{kind}: " + ", ".join([*phrases, "{reading}"])
    if "power" in numbers:
        parts["power"] = numbers["power"]
        text += "; these rows could have told b_d = b from 0 with a probability of {power}"
    return Sentence(text + ".", parts)
