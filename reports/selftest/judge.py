"""Put the questions to the report that a planted truth answers, and judge its sentences.

Each question has one right answer for each truth. An answer is *right*, *cannot tell* or *wrong*;
an interval *right* where it holds the planted slope. Nothing here looks behind the report: the
answers are the verdicts of `reports.law.fit_all` and of the claims, as the page states them.
"""

from typing import NamedTuple

from reports.claims import NOT_TESTED, bigger, collapse, generalisation
from reports.evidence import Evidence
from reports.fits.forms import Forms
from reports.law import Fits, KindFit, fit_all
from reports.selftest.truths import ORDER, Truth
from reports.verdicts import ATTAINS, COMPATIBLE, STEEPER

RIGHT = "right"
OPEN = "cannot tell"
WRONG = "wrong"

INTERVAL = "interval of the slope"
LAW = "verdict on the law"
COLLAPSE = "collapse on p/(n·d)"
FORM = "a knee in the slope"
BIGGER = "bigger is more robust"
GENERALISATION = "robustness goes with generalisation"
DECIDED = ("supported", "contradicted")


class Answer(NamedTuple):
    """The report's answer to one question. subject: the kind that it is about; empty for a claim
    about the whole store."""

    question: str
    subject: str
    outcome: str


def answers(evidence: Evidence, truth: Truth) -> list[Answer]:
    """Return the report's answers to every question that the truth has an answer to."""
    fits = fit_all(evidence.trials)
    found = []
    for fit in fits.kinds:
        found += _of_kind(fit, truth)

    if truth.ratio_d is not None and fits.collapses:
        found.append(Answer(COLLAPSE, "", _collapse(evidence, fits, truth)))
    found.append(Answer(BIGGER, "", _bigger(evidence, fits, truth)))

    verdict = generalisation.check(evidence, fits).verdict
    if verdict != NOT_TESTED:
        # Accuracy is planted without any tie to stability but size, so there is nothing to find.
        found.append(Answer(GENERALISATION, "", WRONG if verdict in DECIDED else RIGHT))
    return found


def _of_kind(fit: KindFit, truth: Truth) -> list[Answer]:
    """Return the answers about one kind's slope of stability."""
    found = []
    slope = fit.stability
    if truth.slope is not None and not slope.failure:
        held = slope.low <= truth.slope <= slope.high
        found.append(Answer(INTERVAL, fit.kind, RIGHT if held else WRONG))

    right = ATTAINS if truth.slope == ORDER else COMPATIBLE
    if fit.judged:
        if fit.verdict.startswith(right):
            outcome = RIGHT
        elif fit.verdict.startswith((ATTAINS, COMPATIBLE, STEEPER)):
            outcome = WRONG
        else:
            outcome = OPEN
        found.append(Answer(LAW, fit.kind, outcome))
    if not fit.forms.failure:
        found.append(Answer(FORM, fit.kind, _form(fit.forms, truth)))
    return found


def _form(forms: Forms, truth: Truth) -> str:
    """Judge whether a knee is claimed where one is planted, at p = n·d, and nowhere else."""
    if forms.knee is None:
        return OPEN if truth.knee else RIGHT
    _, low, high = forms.knee.place
    return RIGHT if truth.knee and low <= 1 <= high else WRONG


def _collapse(evidence: Evidence, fits: Fits, truth: Truth) -> str:
    """Judge the claim that n and d act through p/(n·d)."""
    verdict = collapse.check(evidence, fits).verdict
    if verdict not in DECIDED:
        return OPEN
    return RIGHT if (verdict == "supported") == (truth.ratio_d == 1) else WRONG


def _bigger(evidence: Evidence, fits: Fits, truth: Truth) -> str:
    """Judge the claim that robustness grows with size, which it does unless the slope is 0."""
    verdict = bigger.check(evidence, fits).verdict
    grows = truth.slope != 0
    if verdict not in DECIDED:
        return OPEN if grows else RIGHT
    return RIGHT if grows and verdict == "supported" else WRONG
