"""C8: bigger is more robust. The sign of each sensitivity measure's slope against p."""

from reports.claims.claim import UNTESTED, Finding, Statement, verdict_over
from reports.evidence import Evidence
from reports.fit_numbers import slope_numbers
from reports.fits.slope import Slope
from reports.law import Fits
from reports.measures import MEASURES
from reports.numbers import Number, Sentence

STATEMENT = Statement(
    "C8",
    "Bigger is more robust",
    "popular accounts",
    "The slope of each sensitivity measure against p, with its interval. The measures of one kind"
    " depend on each other. A measure that is a guarantee is shown but not counted, since it may"
    " merely get looser with size. Supported if every interval lies on the robust side of 0,"
    " contradicted if one lies wholly on the other side, undecided otherwise.",
)

VERDICTS = {1: "supported", -1: "contradicted", 0: "undecided"}
MORE_ROBUST = {1: "more robust with size", -1: "less robust with size", 0: "sign undecided"}
GUARANTEES_MORE = {
    1: "guarantees more with size, not counted",
    -1: "guarantees less with size, not counted",
    0: "sign undecided, not counted",
}
"""By the sign of a slope: +1 on the robust side of 0, -1 on the other, 0 where its interval
contains 0."""


def check(evidence: Evidence, fits: Fits) -> Finding:
    measures = {measure.column: measure for measure in MEASURES}
    sentences = []
    signs = []
    for (kind, column), slope in fits.slopes.items():
        if slope.failure:
            continue
        measure = measures[column]
        sign = measure.robust * _side_of_zero(slope)
        if measure.telling:
            signs.append(sign)
        parts = {
            "kind": kind,
            "name": measure.name,
            "word": MORE_ROBUST[sign] if measure.telling else GUARANTEES_MORE[sign],
            **slope_numbers(f"C8:{kind}:{column}", slope, column),
        }
        sentences.append(
            Sentence("{kind}: {name}, slope {b} ({low} to {high}), {cells} cells: {word}.", parts)
        )
    if not sentences:
        return UNTESTED
    verdict = verdict_over(VERDICTS[sign] for sign in signs)
    return Finding(verdict, [_summary(signs, tuple(evidence.trials["trial_id"])), *sentences])


def _side_of_zero(slope: Slope) -> int:
    """Return the side on which the whole interval lies; 0 where it contains 0."""
    if slope.low > 0:
        return 1
    return -1 if slope.high < 0 else 0


def _summary(signs: list[int], trials: tuple[str, ...]) -> Sentence:
    how = "number of the slopes below that count"
    parts = {
        name: Number(f"C8:{name}", signs.count(sign), how, trials, "int")
        for name, sign in (("robust", 1), ("fragile", -1), ("open", 0))
    }
    return Sentence(
        "Slopes below: {robust} on the robust side of 0, {fragile} on the other; {open} intervals"
        " contain 0.",
        parts,
    )
