"""C11: small changes turn one label into another. The changes found, beside the distance of two
different inputs."""

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
    "The pictured held-out inputs whose answer a change turned. Supported if in every kind the"
    " median length of the change found is below a fifth of the median distance of two different"
    " inputs; otherwise undecided, since a smaller change may have been missed.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    t = evidence.trials
    changes = t["pictures"].map(found_changes)
    shown = t.loc[pair_distances(t, "50 %").index]
    shown = shown[changes[shown.index].map(len).gt(0)]
    found, small = [], []
    for kind, rows in shown.groupby("kind"):
        change = float(pd.Series([d for row in changes[rows.index] for d in row]).median())
        apart = float(pair_distances(rows, "50 %").median())
        key, ids = f"C11:{kind}", tuple(rows["trial_id"])
        parts = {
            "kind": kind,
            "changes": Number(
                f"{key}:changes",
                sum(map(len, changes[rows.index])),
                "entries of pictures with another answer",
                ids,
                "int",
            ),
            "models": Number(f"{key}:models", len(rows), "trials with such entries", ids, "int"),
            "change": Number(f"{key}:change", change, "median distance over those entries", ids),
            "apart": Number(
                f"{key}:apart",
                apart,
                "50 % quantile of pair_distance_quantiles, median over trials",
                ids,
            ),
            "share": Number(
                f"{key}:share", change / apart, "the one over the other", ids, "percent"
            ),
        }
        text = (
            "{kind}: the {changes} changes pictured, of {models} models, have a median length of"
            " {change} data units; two different inputs "
        )
        found.append(Sentence(text + "are {apart} apart, so the change is {share} of that.", parts))
        small.append(change < SMALL * apart)
    return Finding("supported" if all(small) else "undecided", found) if found else UNTESTED


def found_changes(pictures: object) -> list[float]:
    """Lengths of the changes that turned an answer."""
    return [
        p["distance"]
        for p in as_list(pictures)
        if p["distance"] is not None
        and math.isfinite(p["distance"])
        and p["before"] != p["after"]
        and p["after"] is not None
    ]
