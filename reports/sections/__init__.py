"""The sections of the page in order, one file each: numbers, charts and HTML.

Each is made by a function that takes evidence and fits and returns a `Section`, or None where the
store has no rows for it. `chapters` puts them under the headings of the page.
"""

from reports.evidence import Evidence
from reports.law import Fits
from reports.sections import (
    attack_checks,
    binding,
    caveats,
    changed_tokens,
    chosen_rows,
    cite,
    claims,
    collapse,
    cost,
    data_sets,
    failures,
    firmness,
    frontier,
    header,
    ladder,
    law,
    lipschitz,
    methods,
    own_embeddings,
    pictures,
    provenance,
    published_models,
    recipes,
    size,
    token_ratio,
    trials,
)
from reports.sections.section import Section

SECTIONS = (
    header.section,
    chosen_rows.section,
    frontier.section,
    law.section,
    binding.section,
    collapse.section,
    recipes.section,
    lipschitz.section,
    size.accuracy,
    size.sensitivity,
    pictures.section,
    size.per_token,
    data_sets.section,
    changed_tokens.section,
    ladder.section,
    token_ratio.section,
    own_embeddings.section,
    published_models.section,
    claims.section,
    firmness.section,
    attack_checks.section,
    caveats.section,
    methods.section,
    failures.section,
    cost.section,
    trials.section,
    provenance.section,
    cite.section,
)


def all_sections(evidence: Evidence, fits: Fits) -> list[Section]:
    """Return the sections that the store has rows for, in the order of the page."""
    sections = [make(evidence, fits) for make in SECTIONS]
    return [section for section in sections if section is not None]
