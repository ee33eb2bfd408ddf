"""C11: small changes turn one label into another. Compare the changes found with the distance
between two different inputs."""

import math

import pandas as pd

from reports.claims.claim import UNTESTED, Finding, Statement
from reports.evidence import Evidence
from reports.law import Fits
from reports.measures import as_list, pair_distances
from reports.numbers import Number, Sentence

SMALL = 1 / 5

STATEMENT = Statement(
    "C11",
    "Small changes turn one label into another",
    "popular accounts",
    "The pictured held-out inputs for which a change altered the answer. Supported if in every kind"
    " the median length of the changes found is below a fifth of the median distance between two"
    " different inputs; otherwise undecided, since a smaller change may have been missed.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    trials = evidence.trials
    lengths = trials["pictures"].map(changed_lengths)
    shown = trials.loc[pair_distances(trials, "50 %").index]
    shown = shown[lengths[shown.index].map(len).gt(0)]

    sentences = []
    small = []
    for kind, rows in shown.groupby("kind"):
        changes = [length for row in lengths[rows.index] for length in row]
        change = float(pd.Series(changes).median())
        apart = float(pair_distances(rows, "50 %").median())
        sentences.append(_sentence(str(kind), rows, len(changes), change, apart))
        small.append(change < SMALL * apart)
    if not sentences:
        return UNTESTED
    return Finding("supported" if all(small) else "undecided", sentences)


def _sentence(kind: str, rows: pd.DataFrame, changes: int, change: float, apart: float) -> Sentence:
    trials = tuple(rows["trial_id"])

    def number(name: str, value: float, how: str, style: str = "sig3") -> Number:
        return Number(f"C11:{kind}:{name}", value, how, trials, style)

    parts = {
        "kind": kind,
        "changes": number("changes", changes, "entries of pictures with another answer", "int"),
        "models": number("models", len(rows), "trials with such entries", "int"),
        "change": number("change", change, "median distance over those entries"),
        "apart": number(
            "apart", apart, "50 % quantile of pair_distance_quantiles, median over trials"
        ),
        "share": number("share", change / apart, "the one over the other", "percent"),
    }
    return Sentence(
        "{kind}: the {changes} changes pictured, of {models} models, have a median length of"
        " {change} data units. Two different inputs are typically {apart} apart, so a change is"
        " {share} of that.",
        parts,
    )


def changed_lengths(pictures: object) -> list[float]:
    """Return the lengths of the changes that altered an answer, in data units."""
    lengths = []
    for change in as_list(pictures):
        length = change["distance"]
        turned = change["after"] is not None and change["before"] != change["after"]
        if turned and length is not None and math.isfinite(length):
            lengths.append(length)
    return lengths
