"""Say which rules judge the rows, in which version, and whether the rules are older than the rows.

A verdict is worth more where its rule was fixed before the rows were measured. The rules have a
version, a date, and a hash over the text of every rule and the constants in them. A test holds the
hash of the present version, so a rule cannot change and keep its version.

The rows name no rules, because rules judge pages and not rows. A row's own finishing time against
the rules' date says which of the two came first.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import NamedTuple

import pandas as pd

from reports import verdicts
from reports.claims import CHECKED
from reports.evidence import MIN_SIZES
from reports.fits.slope import LEVEL
from reports.law import FILTERS
from reports.numbers import Number, Sentence


class Rules(NamedTuple):
    """A version of the rules. `hash`: of their text and constants, see `rules_hash`."""

    version: int
    since: datetime
    hash: str


RULES = Rules(2, datetime(2026, 11, 27, 2, tzinfo=UTC), "27ee6019a853")


def rules_hash() -> str:
    """Return the first 12 digits of the SHA-256 over the rules' text and constants."""
    constants = {
        "order": verdicts.ORDER,
        "narrow": verdicts.NARROW,
        "level": LEVEL,
        "filters": FILTERS,
        "sizes": MIN_SIZES,
    }
    words = [verdicts.COMPATIBLE, verdicts.ATTAINS, verdicts.STEEPER, verdicts.CANNOT_TELL]
    claims = {claim.STATEMENT.key: claim.STATEMENT.rule for claim in CHECKED}
    text = json.dumps([constants, words, claims], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def rules_sentence(trials: pd.DataFrame) -> Sentence:
    """Say which rules judge these rows, and how many rows are older than the rules."""
    before = trials[trials["finished_at"] < pd.Timestamp(RULES.since)]
    how = f"ok trials whose finished_at lies before {RULES.since:%Y-%m-%d %H:%M} UTC"
    parts = {
        "version": Number("rules:version", RULES.version, "version of the rules", (), "int"),
        "hash": RULES.hash,
        "since": f"{RULES.since:%Y-%m-%d %H:%M} UTC",
        "before": Number("rules:before", len(before), how, tuple(before["trial_id"]), "int"),
        "all": Number("rules:all", len(trials), "ok trials", tuple(trials["trial_id"]), "int"),
    }
    text = "Verdicts by rules version {version} ({hash}), set on {since}. "
    if before.empty:
        text += "The rules are older than all {all} rows that they judge."
    elif len(before) == len(trials):
        text += (
            "All {all} rows were measured before, so their verdicts are no test announced"
            " beforehand."
        )
    else:
        text += (
            "{before} of {all} rows were measured before; verdicts on them are no test announced"
            " beforehand."
        )
    return Sentence(text, parts)
