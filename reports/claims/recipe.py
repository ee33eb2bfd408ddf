"""C5: a 688 K-parameter MNIST model reaches 99.2 % after 15 epochs at batch size 5."""

import json
from typing import Any

import pandas as pd

from reports.claims.claim import ALL_DIGITS, UNTESTED, Finding, Statement, clean_digits
from reports.evidence import Evidence, records
from reports.law import Fits
from reports.numbers import Number, Sentence

PARAMETERS = 688_000
TOLERANCE = 0.10
EPOCHS = 15
BATCH = 5
STATED = 0.992
ERRORS = 2
"""Standard errors by which an accuracy must fall short to differ from the stated one."""

STATEMENT = Statement(
    "C5",
    "A 688 K-parameter MNIST model reaches 99.2 % after 15 epochs at batch size 5",
    "popular accounts",
    "Trials with p within 10 % of 688,000 on all 60,000 digits without injected noise, 15 epochs at"
    " batch size 5. A trial reaches the claim when its held-out accuracy is at most 2 standard"
    " errors below 99.2 %. The claim names no architecture: supported if all trials of one kind of"
    " model reach it, contradicted if no trial of any kind does, undecided otherwise.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    sentences: list[Sentence] = []
    by_kind: dict[str, list[bool]] = {}
    for row in records(_recipe_trials(evidence)):
        reached = row["test_accuracy"] + ERRORS * row["test_accuracy_se"] >= STATED
        by_kind.setdefault(row["kind"], []).append(reached)
        sentences.append(_sentence(row, reached))
    if not sentences:
        return UNTESTED

    if any(all(reached) for reached in by_kind.values()):
        return Finding("supported", sentences)
    if any(any(reached) for reached in by_kind.values()):
        return Finding("undecided", sentences)
    return Finding("contradicted", sentences)


def _recipe_trials(evidence: Evidence) -> pd.DataFrame:
    """Return the trials that follow the recipe."""
    trials = clean_digits(evidence.trials)
    sized = (trials["p"] / PARAMETERS - 1).abs().le(TOLERANCE)
    batch = trials["config_json"].map(lambda text: json.loads(str(text)).get("batch_size"))
    return trials[
        sized
        & trials["n"].ge(ALL_DIGITS)
        & trials["adversary"].eq("none")
        & trials["epochs"].eq(EPOCHS)
        & batch.eq(BATCH)
    ]


def _sentence(row: dict[str, Any], reached: bool) -> Sentence:
    trial = row["trial_id"]

    def number(name: str, column: str, style: str) -> Number:
        return Number(f"C5:{trial}:{name}", row[column], f"column {column}", (trial,), style)

    parts = {
        "kind": row["kind"],
        "p": number("p", "p", "int"),
        "accuracy": number("accuracy", "test_accuracy", "percent2"),
        "se": number("se", "test_accuracy_se", "percent2"),
        "n": number("n", "test_n", "int"),
        "word": "reaches the claim within the error" if reached else "falls short",
    }
    return Sentence("{kind}, p = {p}: {accuracy} ± {se} of {n} held-out digits: {word}.", parts)
