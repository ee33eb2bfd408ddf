"""Check published statements against the rows: the claims table, one file per claim.

Each file holds a STATEMENT, whose rule says beforehand what supports and what contradicts it. Its
function `check` turns evidence and fits into a verdict with its sentences. C7 and C9 look only at
published figures, and say so.
"""

from typing import NamedTuple

from reports.claims import (
    arithmetic,
    bigger,
    bound,
    collapse,
    crossing,
    generalisation,
    limit,
    onset,
    published_accuracy,
    recipe,
    small_changes,
    sphere,
)
from reports.claims.claim import NOT_TESTED as NOT_TESTED
from reports.claims.claim import Statement
from reports.evidence import Evidence
from reports.law import Fits
from reports.numbers import Sentence

CHECKED = (
    onset,
    bound,
    collapse,
    sphere,
    crossing,
    recipe,
    limit,
    arithmetic,
    bigger,
    published_accuracy,
    generalisation,
    small_changes,
)


class Claim(NamedTuple):
    statement: Statement
    verdict: str
    findings: list[Sentence]


def check_claims(evidence: Evidence, fits: Fits) -> list[Claim]:
    """Return all claims, C1 to C11, in order."""
    return [Claim(c.STATEMENT, *c.check(evidence, fits)) for c in CHECKED]
