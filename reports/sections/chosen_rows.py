"""The part of the page that names its stores where there are several, and the conditions that chose
its rows."""

from reports.chosen_rows import rows_sentences
from reports.evidence import Evidence
from reports.law import Fits
from reports.sections.section import Section, fill


def section(evidence: Evidence, fits: Fits) -> Section | None:
    sentences = rows_sentences(evidence)
    if not sentences:
        return None
    numbers = [number for sentence in sentences for number in sentence.numbers()]
    html = fill("chosen_rows.html.j2", sentences=sentences)
    return Section("chosen-rows", "Which rows these are", html, numbers)
