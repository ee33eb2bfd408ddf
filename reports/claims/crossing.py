"""C4: MNIST needs 1e5 parameters for 90 % and 1e6 for 95 %. Find the size at which accuracy, clean
and robust, passes each level, between neighbouring sizes of the grid."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports.claims.claim import (
    ALL_DIGITS,
    UNTESTED,
    Finding,
    Statement,
    clean_digits,
    verdict_over,
)
from reports.evidence import Evidence
from reports.law import Fits
from reports.measures import LINF_RADIUS
from reports.numbers import Number, Sentence
from reports.published.tables import Published, madry2018

STATEMENT = Statement(
    "C4",
    "MNIST needs 1e5 parameters for 90 % and 1e6 for 95 %",
    "popular accounts; Bubeck & Sellke 2021 give 2e5 and 3e6 for robust accuracy, after Madry et"
    " al. 2018",
    "Clean accuracy, each number by itself. Supported if the bracket contains the stated number"
    " and is narrower than a factor of 4. Contradicted if the accuracy is passed at fewer"
    " parameters, or if all 60,000 digits were trained on and it is not passed up to the stated"
    " number. Robust accuracy: CNNs trained against PGD, at pixel changes of 0.3, against 2e5 and"
    " 3e6. Supported if the bracket contains the number and is narrower than a factor of 4,"
    " otherwise undecided, since a search can miss changes and other training can do better. The"
    " row is contradicted if any part is, and supported if every part is.",
)


WIDEST_BRACKET = 4
"""The largest factor between the ends of a bracket that supports a number inside it."""


class AccuracyThreshold(NamedTuple):
    """One accuracy level, and the number of parameters that it is said to need."""

    column: str
    name: str
    target: float
    stated: float
    only_upper: bool
    """The accuracy is an upper estimate: passing early or not at all contradicts nothing."""


CLEAN = tuple(
    AccuracyThreshold("test_accuracy", "clean accuracy", target, stated, False)
    for target, stated in ((0.90, 1e5), (0.95, 1e6))
)
ROBUST = tuple(
    AccuracyThreshold("robust_linf", "robust accuracy", target, stated, True)
    for target, stated in ((0.90, 2e5), (0.95, 3e6))
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    digits = clean_digits(evidence.trials)
    standard = digits[digits["adversary"].eq("none")]
    at_radius = (digits["robust_linf_radius"] - LINF_RADIUS).abs().lt(1e-6)
    robust = digits[
        digits["adversary"].eq("pgd")
        & digits["family"].eq("mnist-cnn")
        & at_radius
        & digits["robust_linf"].notna()
    ]

    sentences: list[Sentence] = []
    verdicts: list[str] = []
    for thresholds, trials in ((CLEAN, standard), (ROBUST, robust)):
        for threshold in thresholds:
            for _, curve in trials.groupby("curve", sort=False):
                sentence, verdict = _crossing(threshold, curve)
                sentences.append(sentence)
                verdicts.append(verdict)
    if not verdicts:
        return UNTESTED

    for _, curve in robust.groupby("curve", sort=False):
        sentences += _beside_published(curve)
    return Finding(verdict_over(verdicts), sentences)


def _crossing(threshold: AccuracyThreshold, rows: pd.DataFrame) -> tuple[Sentence, str]:
    """State where a curve's mean accuracy over seeds first passes the target, and judge whether
    that needs the stated size."""
    column = threshold.column
    target = threshold.target
    mean = rows.groupby("p")[column].mean().sort_index()
    p = mean.index.to_numpy(float)
    accuracy = mean.to_numpy(float)
    n = int(rows["n"].iloc[0])
    trials = tuple(rows["trial_id"])
    key = f"C4:{rows['curve'].iloc[0]}:{column}:{target:g}"

    def number(name: str, value: float, how: str, style: str = "int") -> Number:
        return Number(f"{key}:{name}", value, how, trials, style)

    parts: dict[str, Any] = {
        "kind": rows["kind"].iloc[0],
        "name": threshold.name,
        "n": number("n", n, "column n"),
        "target": f"{target:.0%}".replace("%", " %"),
        "best": number(
            "best", float(accuracy.max()), f"largest mean {column} over seeds", "percent"
        ),
        "largest": number("largest", float(p.max()), "largest p"),
    }

    passing = np.flatnonzero(accuracy >= target)
    if not len(passing):
        text = "{kind}, n = {n}: {target} {name} not reached up to p = {largest}; best {best}"
        tried = n >= ALL_DIGITS and p.max() >= threshold.stated
        verdict = "contradicted" if tried else "undecided"
    elif passing[0] == 0:
        parts["at"] = number("at", float(p[0]), "smallest p of the grid")
        text = (
            "{kind}, n = {n}: {target} {name} already passed at the smallest size, p = {at}; best"
            " {best}"
        )
        verdict = "contradicted" if p[0] < threshold.stated else "undecided"
    else:
        low = float(p[passing[0] - 1])
        high = float(p[passing[0]])
        how = (
            f"linear in log p between neighbouring sizes of the mean {column} over seeds, at"
            f" {target:g}"
        )
        parts |= {
            "at": number("at", _crossing_at(mean, target), how),
            "low": number("low", low, "largest p before the crossing"),
            "high": number("high", high, "smallest p after the crossing"),
        }

        seeds = [
            _crossing_at(seed.set_index("p")[column].sort_index(), target)
            for _, seed in rows.groupby("seed")
        ]
        crossed = [at for at in seeds if np.isfinite(at)]
        parts |= {
            "first": number("first seed", min(crossed), "smallest crossing of a single seed"),
            "last": number("last seed", max(crossed), "largest crossing of a single seed"),
            "passing": number("seeds passing", len(crossed), "seeds that cross"),
            "seeds": number("seeds", len(seeds), "seeds"),
        }
        text = (
            "{kind}, n = {n}: {target} {name} passed at p ≈ {at} (between {low} and {high}; {first}"
            " to {last} over the {passing} of {seeds} seeds that pass); best {best}"
        )
        verdict = _bracket_verdict(low, high, threshold.stated)

    if threshold.only_upper and verdict == "contradicted":
        verdict = "undecided"
    return Sentence(text + ": {verdict}.", parts | {"verdict": verdict}), verdict


def _bracket_verdict(low: float, high: float, stated: float) -> str:
    """Judge the stated size by the sizes just before and just after the crossing."""
    if high < stated:
        return "contradicted"
    if low <= stated and high / low <= WIDEST_BRACKET:
        return "supported"
    return "undecided"


def _crossing_at(accuracy: pd.Series, target: float) -> float:
    """Return the p at which accuracy over p (index, ascending) first passes `target`, linear in
    log p; NaN when it does not."""
    p = accuracy.index.to_numpy(float)
    a = accuracy.to_numpy(float)
    passing = np.flatnonzero(a >= target)
    if not len(passing):
        return float("nan")
    i = int(passing[0])
    if i == 0:
        return float(p[0])
    share = (target - a[i - 1]) / (a[i] - a[i - 1])
    return float(np.exp(np.log(p[i - 1]) + share * (np.log(p[i]) - np.log(p[i - 1]))))


def _beside_published(rows: pd.DataFrame) -> list[Sentence]:
    """Set a curve's robust accuracy beside the published figures at the published sizes,
    interpolated in log p and never beyond the sizes trained."""
    mean = rows.groupby("p")["robust_linf"].mean().sort_index()
    p = mean.index.to_numpy(float)

    sentences = []
    for size in sorted({point.parameters for point in madry2018()}):
        if not 0.99 * p[0] <= size <= 1.01 * p[-1]:
            continue
        ours = float(np.interp(np.log(size), np.log(p), mean.to_numpy(float)))
        points = [point for point in madry2018() if point.parameters == size]
        sentences.append(_comparison(size, ours, rows, points))
    return sentences


def _comparison(size: int, ours: float, rows: pd.DataFrame, points: list[Published]) -> Sentence:
    """State our accuracy at one size, each published figure, and the differences."""
    trials = tuple(rows["trial_id"])
    key = f"C4:{rows['curve'].iloc[0]}:{size}"
    how = "mean robust_linf over seeds, linear in log p between neighbouring sizes"
    source = f"published: {points[0].source}"
    parts: dict[str, Any] = {
        "kind": rows["kind"].iloc[0],
        "n": Number(f"{key}:our n", int(rows["n"].iloc[0]), "column n", trials, "int"),
        "p": Number(f"{key}:published p", size, source, (), "int"),
        "ours": Number(f"{key}:ours", ours, how, trials, "percent"),
    }

    phrases = []
    for i, point in enumerate(points):
        theirs = f"published: {point.source}"
        difference = 100 * (ours - point.accuracy)
        parts |= {
            f"v{i}": Number(f"{key}:{point.key}", point.accuracy, theirs, (), "percent"),
            f"d{i}": Number(
                f"{key}:minus {point.key}", difference, "ours less theirs", trials, "points"
            ),
            f"a{i}": point.attack,
        }
        about = "about " if point.approximate else ""
        phrases.append(f"{about}{{v{i}}} under {{a{i}}} (ours {{d{i}}} points)")
    text = "{kind}, n = {n}, p = {p}: robust accuracy {ours}. Madry et al.'s model of that size: "
    return Sentence(text + ", ".join(phrases) + ".", parts)
