"""Explain ten words, each in the first chapter that uses it."""

from collections.abc import Sequence
from typing import NamedTuple


class Term(NamedTuple):
    """A word, what it means in one sentence or two, and the chapters that use it."""

    key: str
    word: str
    meaning: str
    chapters: tuple[str, ...] = ("answer",)


GLOSSARY = (
    Term(
        "stability",
        "Stability S",
        "How far an input must move before the model's answer, right or wrong, changes: the mean"
        " distance, over held-out inputs, to the nearest change of answer that a search found. A"
        " search can miss a nearer one, so the true distance is at most this.",
    ),
    Term(
        "law",
        "The law of robustness",
        "To fit n noisy points in d dimensions below their noise level, smoothly, a model needs"
        " about p = n·d parameters; with fewer, stability is at most of order √(p/(n·d)). It is a"
        " ceiling: a model may lie below it at any slope (Bubeck and Sellke 2021).",
    ),
    Term(
        "slope",
        "Slope b",
        "The exponent b in S ~ p^b, for any measure S. Ten times the parameters multiply S"
        " by 10^b. The law's ceiling has b = 1/2.",
    ),
    Term(
        "frontier",
        "Best fit found (the frontier)",
        "The most robust model of a size that fits the noisy labels, as far as a search found one."
        " The law speaks about this best model; plain training finds another.",
        ("answer", "frontier"),
    ),
    Term(
        "noise",
        "Noise condition",
        "The law speaks only about models that fit their data better than the noise in the labels"
        " allows an honest model to. Marks of trials that do are filled, others are hollow.",
        ("law", "lipschitz"),
    ),
    Term(
        "kind",
        "Kind, curve and cell",
        "A kind is one family of models with one sort of labels and one stop rule. “30 %"
        " resampled” says that this share of labels was redrawn at random, “flipped” that it was"
        " reversed. A curve holds a kind's models that differ in size alone, a cell those that"
        " differ in the random seed alone.",
        ("law", "lipschitz"),
    ),
    Term(
        "unit",
        "Data unit",
        "The mean distance of a data set's inputs from their mean. All ℓ2 distances are given in"
        " it.",
        ("frontier", "law", "lipschitz", "sensitivity"),
    ),
    Term(
        "lipschitz",
        "Lipschitz constant",
        "How much a model's output changes at most, per distance that its input moves. A search"
        " finds it from below, a certificate bounds it from above, and the truth lies between.",
        ("lipschitz",),
    ),
    Term(
        "dimension",
        "Dimension d",
        "The number of numbers in an input (ambient), or an estimate of how many directions the"
        " data really vary in (effective), which is smaller for pictures.",
        ("law", "data"),
    ),
    Term(
        "onset",
        "Onset",
        "The smallest size of a curve at which every seed met its stop rule. Fits use only larger"
        " sizes.",
        ("law", "audit"),
    ),
)


def terms_of(chapters: Sequence[str]) -> dict[str, list[Term]]:
    """Return, by chapter of this page, the terms that first occur there. A term whose chapters are
    all missing is left out."""
    found: dict[str, list[Term]] = {chapter: [] for chapter in chapters}
    for term in GLOSSARY:
        first = next((chapter for chapter in chapters if chapter in term.chapters), None)
        if first is not None:
            found[first].append(term)
    return found
