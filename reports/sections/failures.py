"""The section "Failures": every trial without an ok row, with its message. Trials that have run
since under another id, as after a change of their task's code, and trials that their sweep no
longer asks for are counted and not listed."""

from reports.evidence import Evidence, records
from reports.law import Fits
from reports.sections.counts import count_trials
from reports.sections.section import Section, fill

COLUMNS = ("trial_id", "task", "failure_kind", "attempt", "failure_message", "config_json")


def section(evidence: Evidence, fits: Fits) -> Section:
    counts = count_trials(evidence)
    html = fill(
        "failures.html.j2",
        failures=records(evidence.failures[list(COLUMNS)]),
        replaced=counts["replaced"],
    )
    return Section("failures", "Failures", html, [counts["replaced"]])
