"""The section "Claims, checked against these rows": every claim with verdict and findings."""

from reports.claims import check_claims
from reports.evidence import Evidence
from reports.law import Fits
from reports.sections.section import Section, fill


def section(evidence: Evidence, fits: Fits) -> Section:
    claims = check_claims(evidence, fits)
    numbers = [
        number for claim in claims for finding in claim.findings for number in finding.numbers()
    ]
    html = fill("claims.html.j2", claims=claims)
    return Section("claims", "Claims, checked against these rows", html, numbers)
