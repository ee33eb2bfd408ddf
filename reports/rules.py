"""Say which rules judge the rows, in which version, and whether the rules are older than the rows.

A verdict is worth more where its rule was fixed before the rows were measured. The rules have a
version, a date, and a hash over the text of every rule and the constants in them. A test holds the
hash of the present version, so a rule cannot change and keep its version.

Every row names the rules that were current when it was finished (column `rules`, which rows of
schema 7 and older lack). A row was measured before the rules where it names others and was finished
before their date.
"""

import hashlib
import json

import pandas as pd

from harness.store.rules import RULES
from reports import verdicts
from reports.claims import CHECKED
from reports.evidence import MIN_SIZES
from reports.fits.slope import LEVEL
from reports.law import FILTERS
from reports.numbers import Number, Sentence


def rules_hash() -> str:
    """Return the first 12 digits of the SHA-256 over the rules' text and constants."""
    constants = {
        "order": verdicts.ORDER,
        "narrow": verdicts.NARROW,
        "level": LEVEL,
        "filters": FILTERS,
        "sizes": MIN_SIZES,
        "other filters": verdicts.RULE,
    }
    words = [verdicts.COMPATIBLE, verdicts.ATTAINS, verdicts.STEEPER, verdicts.CANNOT_TELL]
    claims = {claim.STATEMENT.key: claim.STATEMENT.rule for claim in CHECKED}
    text = json.dumps([constants, words, claims], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def rules_sentence(trials: pd.DataFrame) -> Sentence:
    """Say which rules judge these rows, how many rows are older than the rules, and which rules
    those rows name."""
    named = trials["rules"]
    before = trials[named.ne(RULES.name) & (trials["finished_at"] < pd.Timestamp(RULES.since))]
    how = (
        f"ok trials that do not name rules {RULES.name} and whose finished_at lies before"
        f" {RULES.since:%Y-%m-%d %H:%M} UTC"
    )
    parts = {
        "version": Number("rules:version", RULES.version, "version of the rules", (), "int"),
        "hash": RULES.hash,
        "since": f"{RULES.since:%Y-%m-%d %H:%M} UTC",
        "before": Number("rules:before", len(before), how, tuple(before["trial_id"]), "int"),
        "all": Number("rules:all", len(trials), "ok trials", tuple(trials["trial_id"]), "int"),
        "named": _names(before["rules"]),
    }
    text = "Verdicts by rules version {version} ({hash}), set on {since}. "
    if before.empty:
        text += "The rules are older than all {all} rows that they judge."
    elif len(before) == len(trials):
        text += (
            "All {all} rows were measured before, under {named}, so their verdicts are no test"
            " announced beforehand."
        )
    else:
        text += (
            "{before} of {all} rows were measured before, under {named}; verdicts on them are no"
            " test announced beforehand."
        )
    return Sentence(text, parts)


def _names(rules: pd.Series) -> str:
    """Return the rules that rows name, in words."""
    known = sorted({f"version {name}" for name in rules.dropna()})
    if rules.isna().any():
        known.append("rules that they do not name")
    return ", ".join(known)
