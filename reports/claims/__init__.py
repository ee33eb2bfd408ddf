"""Published statements checked against the rows: the claims table, one file per claim.

Each file holds a STATEMENT, whose rule says beforehand what supports and what contradicts it, and `check`, from
evidence and fits to a verdict with its sentences.
"""

from typing import NamedTuple

from reports.claims import bigger, collapse, crossing, generalisation, limit, onset, recipe, small_changes, sphere
from reports.claims.claim import NOT_TESTED as NOT_TESTED
from reports.claims.claim import UNTESTED, Statement
from reports.law import Fits
from reports.numbers import Sentence
from reports.tables import Evidence

CHECKED = (onset, collapse, sphere, crossing, recipe, limit, bigger, generalisation, small_changes)
WITHOUT_TEST = (
    Statement("C7", "GPT-3 is under the law by about three orders of magnitude", "popular accounts"),
    Statement("C9", "GPT-3's accuracy grows from 1.3B to 13B to 175B parameters", "Brown et al. 2020"),
)


class Claim(NamedTuple):
    statement: Statement
    verdict: str
    findings: list[Sentence]


def check_claims(evidence: Evidence, fits: Fits) -> list[Claim]:
    """All claims, C1 to C11, in order."""
    claims = [Claim(c.STATEMENT, *c.check(evidence, fits)) for c in CHECKED] + [Claim(s, *UNTESTED) for s in WITHOUT_TEST]
    return sorted(claims, key=lambda claim: int(claim.statement.key[1:]))
