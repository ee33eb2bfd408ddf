"""The section "How it was measured and fitted": the definitions behind every number."""

from reports.evidence import Evidence
from reports.law import Fits
from reports.sections.section import Section, fill


def section(evidence: Evidence, fits: Fits) -> Section:
    trials = evidence.all_trials
    text = trials["tokens_distinct"].gt(trials["n"]).any() or trials["token_changes"].notna().any()
    html = fill("methods.html.j2", text=bool(text))
    return Section("methods", "How it was measured and fitted", html)
