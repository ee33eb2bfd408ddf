"""C9: GPT-3's accuracy grows from 1.3B to 13B to 175B parameters. Compare published figures of one
table; no rows are needed."""

from itertools import pairwise
from typing import Any

from reports.claims.claim import Finding, Statement, verdict_over
from reports.evidence import Evidence
from reports.law import Fits
from reports.numbers import Number, Sentence
from reports.published.tables import Accuracy, accuracies

SIZES = ("GPT-3 1.3B", "GPT-3 13B", "GPT-3 175B")

STATEMENT = Statement(
    "C9",
    "GPT-3's accuracy grows from 1.3B to 13B to 175B parameters",
    "Brown et al. 2020",
    "The authors' own figures, all from one table, each benchmark by itself. They are not rows of"
    " this store, so the verdict is the same for every store. Supported if accuracy rises at both"
    " steps on every benchmark, contradicted if it falls on one, undecided otherwise. A rise says"
    " nothing about robustness.",
)

WORDS = {
    "supported": "rises",
    "contradicted": "falls",
    "undecided": "neither rises nor falls",
}
"""Verdict → its word in a sentence."""


def check(evidence: Evidence, fits: Fits) -> Finding:
    sentences = [Sentence("Published figures, not measured here:")]
    verdicts = []
    for points in compared():
        verdict = judged([point.accuracy for point in points])
        sentences.append(_sentence(points, verdict))
        verdicts.append(verdict)
    return Finding(verdict_over(verdicts), sentences)


def compared() -> list[list[Accuracy]]:
    """Return the points of the three sizes, for every benchmark, harness and number of shots that
    has all three."""
    series: dict[tuple[str, str, str], dict[str, Accuracy]] = {}
    for point in accuracies():
        of_one_table = series.setdefault((point.benchmark, point.harness, point.shots), {})
        of_one_table[point.model.name] = point
    return [
        [points[size] for size in SIZES]
        for points in series.values()
        if points.keys() >= set(SIZES)
    ]


def judged(values: list[float]) -> str:
    """Return supported if each value exceeds the one before, contradicted if one is less."""
    smallest_step = min(later - earlier for earlier, later in pairwise(values))
    if smallest_step < 0:
        return "contradicted"
    return "supported" if smallest_step > 0 else "undecided"


def _sentence(points: list[Accuracy], verdict: str) -> Sentence:
    parts: dict[str, Any] = {
        "benchmark": points[0].benchmark,
        "shots": points[0].shots,
        "word": WORDS[verdict],
    }
    for i, point in enumerate(points):
        how = f"published: {point.source}"
        parts[f"v{i}"] = Number(f"C9:{point.key}", point.accuracy, how, (), "percent")
        parts[f"n{i}"] = point.model.name
        if i > 0:
            before = points[i - 1]
            gain = 100 * (point.accuracy - before.accuracy)
            key = f"C9:minus {before.key}:{point.key}"
            parts[f"d{i}"] = Number(key, gain, f"its difference; {how}", (), "points")
    return Sentence(
        "{benchmark}, {shots}: {v0} at {n0}, {v1} at {n1}, {v2} at {n2}, {d1} and {d2} points:"
        " {word}.",
        parts,
    )
