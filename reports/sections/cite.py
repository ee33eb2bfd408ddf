"""The section "How to cite": the program with the version and commits behind the rows, and the law.
CITATION.cff has the same data."""

import harness
from reports.evidence import Evidence
from reports.law import Fits
from reports.sections.section import Section, fill

COMMIT_DIGITS = 12
MOST_COMMITS = 3


def section(evidence: Evidence, fits: Fits) -> Section:
    commits = sorted(
        evidence.all_trials["commit"].dropna().astype(str).str[:COMMIT_DIGITS].unique()
    )
    shown = commits if len(commits) <= MOST_COMMITS else []
    html = fill("cite.html.j2", version=harness.__version__, commits=shown)
    return Section("cite", "How to cite", html)
