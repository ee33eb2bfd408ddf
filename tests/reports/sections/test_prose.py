"""The page speaks of MNIST and of text only where the store has such rows.

Run alone: python -m pytest tests/reports/sections/test_prose.py
"""

import pytest

from reports.evidence import read_evidence
from reports.law import fit_evidence
from reports.sections import caveats, header, law, methods
from tests.reports.language_rows import text_row
from tests.reports.page_reader import Page
from tests.reports.stores import make_store, power_law


@pytest.mark.slow
def test_a_store_of_random_data_has_no_sentence_on_others(tmp_path):
    for name, rows, text in (
        ("sphere", power_law(0.2, ns=(100, 200, 400)), False),
        ("text", [text_row(p, seed, 0.5) for p in (300, 600, 1200) for seed in (0, 1)], True),
    ):
        evidence = read_evidence(make_store(tmp_path / name, rows))
        fits = fit_evidence(evidence)
        sections = [part.section(evidence, fits) for part in (header, law, caveats, methods)]
        prose = " ".join(Page(str(section.html)).prose() for section in sections if section)
        assert "MNIST" not in prose
        assert ("GPT" in prose or "gpt" in prose) == text
