"""The section "What this does not show": the limits of these measurements and fits."""

from reports.evidence import Evidence
from reports.law import Fits
from reports.sections.counts import count_trials
from reports.sections.section import Section, fill


def section(evidence: Evidence, fits: Fits) -> Section:
    counts = count_trials(evidence)
    html = fill("caveats.html.j2", counts=counts)
    return Section("caveats", "What this does not show", html, list(counts.values()))
