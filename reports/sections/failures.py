"""The section "Failures": every trial without an ok row, with its message."""

from reports.evidence import Evidence, records
from reports.law import Fits
from reports.sections.section import Section, fill


def section(evidence: Evidence, fits: Fits) -> Section:
    html = fill("failures.html.j2", failures=records(evidence.failures))
    return Section("failures", "Failures", html)
