"""The section "What it cost": time and FLOPs of the trials, and the runs with their forecasts."""

from reports.evidence import Evidence
from reports.law import Fits
from reports.sections.counts import count_trials
from reports.sections.section import Section, fill


def section(evidence: Evidence, fits: Fits) -> Section | None:
    if evidence.all_trials.empty:
        return None
    counts = count_trials(evidence)
    html = fill("cost.html.j2", counts=counts, runs=evidence.runs)
    return Section("cost", "What it cost", html, list(counts.values()))
