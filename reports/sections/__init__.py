"""The sections of the page in order, one file each: numbers, charts and HTML.

Each file has a function `section`, which takes evidence and fits and returns a `Section`, or None
where the store has no rows for it.
"""

from reports.evidence import Evidence
from reports.law import Fits
from reports.sections import (
    attack_checks,
    binding,
    caveats,
    changed_tokens,
    chosen_rows,
    claims,
    collapse,
    data_sets,
    failures,
    firmness,
    frontier,
    header,
    ladder,
    law,
    lipschitz,
    methods,
    pictures,
    provenance,
    published_models,
    size,
    trials,
)
from reports.sections.section import Section

SECTIONS = (
    header,
    chosen_rows,
    frontier,
    law,
    firmness,
    binding,
    lipschitz,
    collapse,
    data_sets,
    size,
    ladder,
    changed_tokens,
    pictures,
    published_models,
    claims,
    attack_checks,
    failures,
    trials,
    methods,
    caveats,
    provenance,
)


def all_sections(evidence: Evidence, fits: Fits) -> list[Section]:
    """Return the sections that the store has rows for, in the order of the page."""
    sections = [part.section(evidence, fits) for part in SECTIONS]
    return [section for section in sections if section is not None]
