"""C9: GPT-3's accuracy grows from 1.3B to 13B to 175B parameters. Published figures of one
table, no rows."""

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
    "The authors' own figures, each benchmark by itself and all from one table: figures of others"
    " and not rows of this store, so the verdict is the same for every store. Supported if every"
    " benchmark rises at both steps, contradicted if one falls, else undecided. That it rises says"
    " nothing of robustness.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    found = [_series(points) for points in compared()]
    first = Sentence("Published figures, not measured here:")
    return Finding(
        verdict_over(verdict for _, verdict in found), [first, *(sentence for sentence, _ in found)]
    )


def compared() -> list[list[Accuracy]]:
    """The three sizes' points of every benchmark, harness and number of shots that has all
    three."""
    series: dict[tuple[str, str, str], dict[str, Accuracy]] = {}
    for point in accuracies():
        series.setdefault((point.benchmark, point.harness, point.shots), {})[point.model.name] = (
            point
        )
    return [
        [points[size] for size in SIZES]
        for points in series.values()
        if points.keys() >= set(SIZES)
    ]


def judged(values: list[float]) -> str:
    """supported if each value exceeds the one before, contradicted if one is less."""
    steps = [later - earlier for earlier, later in pairwise(values)]
    return "contradicted" if min(steps) < 0 else "supported" if min(steps) > 0 else "undecided"


def _series(points: list[Accuracy]) -> tuple[Sentence, str]:
    verdict = judged([point.accuracy for point in points])
    word = {"supported": "rises", "contradicted": "falls", "undecided": "neither rises nor falls"}[
        verdict
    ]
    parts: dict[str, Any] = {
        "benchmark": points[0].benchmark,
        "shots": points[0].shots,
        "word": word,
    }
    for i, point in enumerate(points):
        how = f"published: {point.source}"
        parts[f"v{i}"] = Number(f"C9:{point.key}", point.accuracy, how, (), "percent")
        parts[f"n{i}"] = point.model.name
        if i:
            gain = 100 * (point.accuracy - points[i - 1].accuracy)
            parts[f"d{i}"] = Number(
                f"C9:minus {points[i - 1].key}:{point.key}",
                gain,
                f"its difference; {how}",
                (),
                "points",
            )
    text = (
        "{benchmark}, {shots}: {v0} at {n0}, {v1} at {n1}, {v2} at {n2}, {d1} and {d2} points:"
        " {word}."
    )
    return Sentence(text, parts), verdict
