"""The section "Published language models": its numbers are those of the tables.

Run alone: python -m pytest tests/reports/sections/test_published_models.py
"""

import json

import pytest

from reports.evidence import read_evidence
from reports.page import render
from reports.sections.published_models import published_models
from tests.reports.ledger import check_section
from tests.reports.page_reader import Page
from tests.reports.published.published_figures import recompute
from tests.reports.stores import make_store, row


@pytest.mark.slow
def test_every_number_is_recomputed_from_the_tables(rich):
    def recomputed(key, used, rows, ledger):
        assert used.empty
        return recompute(key)

    check_section(rich, "published", recomputed)


def test_every_number_of_the_section_is_in_the_tables():
    found = published_models()
    assert len(found.numbers()) == len({n.key for n in found.numbers()}) > 150
    for number in found.numbers():
        assert number.value == pytest.approx(recompute(number.key)), number.key
        assert "published: " in number.how and not number.trials
    unknown = {line.model.group for line in found.lines if line.tokens is None}
    assert unknown == {"GPT-2", "rumour"} and all(
        line.short == [None] * 4 for line in found.lines if line.tokens is None
    )


@pytest.mark.slow
def test_a_store_without_trials_has_no_strip(tmp_path):
    for rows, charts in (
        ([], {"published_accuracy"}),
        ([row()], {"published_accuracy", "published_places"}),
    ):
        page = Page(render(read_evidence(make_store(tmp_path / str(len(rows)), rows))))
        drawn = json.loads(page.scripts["chart-data"])["charts"]
        assert {key for key in drawn if key.startswith("published")} == charts
