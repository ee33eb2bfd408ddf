"""C8: bigger is more robust. The sign of each sensitivity measure's slope against p."""

from reports.claims.claim import UNTESTED, Finding, Statement, verdict_over
from reports.evidence import Evidence
from reports.fit_numbers import slope_numbers
from reports.law import Fits
from reports.measures import MEASURES
from reports.numbers import Number, Sentence

STATEMENT = Statement(
    "C8",
    "Bigger is more robust",
    "popular accounts",
    "Sign and interval of the slope of each sensitivity measure against p; the measures of one kind"
    " depend on each other, and one that is a guarantee is shown and not counted, since it may"
    " merely get looser with size. Supported if every interval lies on the robust side of 0,"
    " contradicted if one lies wholly on the other, undecided otherwise.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    findings, signs = [], []
    measures = {m.column: m for m in MEASURES}
    for (kind, column), slope in fits.slopes.items():
        if slope.failure:
            continue
        sign = measures[column].robust * (1 if slope.low > 0 else -1 if slope.high < 0 else 0)
        word = {1: "more robust with size", -1: "less robust with size", 0: "no sign"}[sign]
        if measures[column].telling:
            signs.append(sign)
        else:
            word = {1: "guarantees more with size", -1: "guarantees less with size", 0: "no sign"}[
                sign
            ] + ", not counted"
        parts = {
            "kind": kind,
            "name": measures[column].name,
            "word": word,
            **slope_numbers(f"C8:{kind}:{column}", slope, column),
        }
        findings.append(
            Sentence("{kind}: {name}, slope {b} ({low} to {high}), {cells} cells: {word}.", parts)
        )
    if not findings:
        return UNTESTED
    ids = tuple(evidence.trials["trial_id"])
    counts = {1: "robust", -1: "fragile", 0: "open"}
    parts = {
        word: Number(
            f"C8:{word}", signs.count(s), "number of the slopes below that count", ids, "int"
        )
        for s, word in counts.items()
    }
    summary = (
        "Of the slopes below {robust} lie on the robust side of 0, {fragile} on the other, and"
        " {open} intervals contain 0."
    )
    verdict = verdict_over({1: "supported", -1: "contradicted", 0: "undecided"}[s] for s in signs)
    return Finding(verdict, [Sentence(summary, parts), *findings])
