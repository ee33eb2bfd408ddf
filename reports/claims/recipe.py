"""C5: a 688 K-parameter MNIST model reaches 99.2 % after 15 epochs at batch size 5."""

import json

from reports.claims.claim import ALL_DIGITS, UNTESTED, Finding, Statement, clean_digits
from reports.evidence import Evidence, records
from reports.law import Fits
from reports.numbers import Number, Sentence

PARAMETERS, TOLERANCE = 688_000, 0.10
EPOCHS, BATCH = 15, 5
STATED = 0.992
ERRORS = 2
"""Standard errors below which an accuracy is told from the stated one."""

STATEMENT = Statement(
    "C5",
    "A 688 K-parameter MNIST model reaches 99.2 % after 15 epochs at batch size 5",
    "popular accounts",
    "Trials with p within 10 % of 688 000 on all 60 000 digits without injected noise, 15 epochs at"
    " batch size 5. A trial speaks for it when its held-out accuracy is at most 2 standard errors"
    " below 99.2 %, else against it. The claim names no architecture: supported if all trials of"
    " one kind of model speak for it, contradicted if all trials of every kind speak against it,"
    " undecided otherwise.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    t = clean_digits(evidence.trials)
    sized = (t["p"] / PARAMETERS - 1).abs().le(TOLERANCE)
    batch = t["config_json"].map(lambda text: json.loads(str(text)).get("batch_size"))
    mine = t[
        sized
        & t["n"].ge(ALL_DIGITS)
        & t["adversary"].eq("none")
        & t["epochs"].eq(EPOCHS)
        & batch.eq(BATCH)
    ]
    if mine.empty:
        return UNTESTED
    found: list[Sentence] = []
    by_kind: dict[str, list[bool]] = {}
    for row in records(mine):
        key, ids = f"C5:{row['trial_id']}", (row["trial_id"],)
        reached = row["test_accuracy"] + ERRORS * row["test_accuracy_se"] >= STATED
        by_kind.setdefault(row["kind"], []).append(reached)
        parts = {
            "kind": row["kind"],
            "p": Number(f"{key}:p", row["p"], "column p", ids, "int"),
            "accuracy": Number(
                f"{key}:accuracy", row["test_accuracy"], "column test_accuracy", ids, "percent2"
            ),
            "se": Number(
                f"{key}:se", row["test_accuracy_se"], "column test_accuracy_se", ids, "percent2"
            ),
            "n": Number(f"{key}:n", row["test_n"], "column test_n", ids, "int"),
            "word": "reaches it, within the error" if reached else "falls short",
        }
        found.append(
            Sentence("{kind}, p = {p}: {accuracy} ± {se} of {n} held-out digits: {word}.", parts)
        )
    if any(all(reached) for reached in by_kind.values()):
        return Finding("supported", found)
    return Finding(
        "undecided" if any(any(reached) for reached in by_kind.values()) else "contradicted", found
    )
