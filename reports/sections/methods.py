"""The section "How it was measured and fitted": the definitions behind every number."""

from reports.evidence import Evidence
from reports.law import Fits
from reports.sections.section import Section, fill


def section(evidence: Evidence, fits: Fits) -> Section:
    return Section("methods", "How it was measured and fitted", fill("methods.html.j2"))
