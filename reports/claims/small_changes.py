"""C11: small changes turn one label into another. Compare the changes found with the distance
between two different inputs."""

import numpy as np
import pandas as pd

from reports.claims.claim import UNTESTED, Finding, Statement
from reports.entries import entries
from reports.evidence import Evidence
from reports.law import Fits
from reports.measures import pair_distances
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
    lengths = changed_lengths(trials["pictures"])
    shown = trials.loc[pair_distances(trials, "50 %").index.intersection(lengths.index.unique())]

    sentences = []
    small = []
    for kind, rows in shown.groupby("kind"):
        changes = lengths[lengths.index.isin(rows.index)]
        change = float(changes.median())
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


def changed_lengths(pictures: pd.Series) -> pd.Series:
    """Return the lengths of the changes that altered an answer, in data units, each under the index
    of its row."""
    changes = entries(pictures, "before", "after", "distance")
    turned = changes["after"].notna() & changes["before"].ne(changes["after"])
    finite = np.isfinite(changes["distance"].astype(float))
    kept = changes[turned & finite]
    return pd.Series(kept["distance"].to_numpy(float), index=pictures.index[kept["row"]])
