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


class Rules(NamedTuple):
    """A version of the rules. `hash`: of their text and constants, see `rules_hash`."""

    version: int
    since: datetime
    hash: str


RULES = Rules(2, datetime(2026, 11, 27, 2, tzinfo=UTC), "")


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


def measured_before(trials: pd.DataFrame) -> pd.Series:
    """Return whether each row was finished before the present rules were set."""
    return trials["finished_at"] < pd.Timestamp(RULES.since)
