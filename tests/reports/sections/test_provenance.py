"""Runs with their forecasts, trials trained together, and how to cite.

Run alone: python -m pytest tests/reports/sections/test_provenance.py
"""

import re
from pathlib import Path

import pytest
import yaml

from harness.store.store import RunRecord, Store
from reports.sections import cite, cost, provenance
from tests import ROOT
from tests.reports.page_reader import Page, section_of
from tests.reports.stores import NOW, make_store, power_law, row


@pytest.mark.slow
def test_runs_are_listed_with_forecast_and_time_taken(tmp_path):
    store = Store(make_store(tmp_path / "s", power_law(-0.2)))
    for minute, inline, forecast in ((7, False, 10.0), (5, True, 0.0)):
        began = NOW.replace(minute=minute)
        store.put_run(
            RunRecord(
                sweep="made",
                began=began,
                inline=inline,
                trials=12,
                forecast_s=forecast,
                seconds=25.0,
            )
        )

    section = section_of(cost, Path(str(store)))
    assert section is not None
    rows = re.findall(r"<tr><td>(2026-01-02 03:0.*?)</td></tr>", section.html)
    assert [row.split("</td><td>") for row in rows] == [
        ["2026-01-02 03:05", "made, inline", "12", "0", "25", ""],
        ["2026-01-02 03:07", "made", "12", "10", "25", "2.50"],
    ]
    without = section_of(cost, make_store(tmp_path / "none", power_law(-0.2)))
    assert 'id="runs"' in section.html and without and 'id="runs"' not in without.html


@pytest.mark.slow
def test_the_page_says_how_many_trials_were_trained_together(tmp_path):
    rows = power_law(-0.2)
    for k, made in enumerate(rows[:5]):
        made["stack_size"] = 2 + k
    section = section_of(provenance, make_store(tmp_path / "s", rows))
    assert section is not None
    text = Page(section.html).prose()
    assert f"5 of {len(rows)} trials, at most 6 at a time" in text


@pytest.mark.slow
def test_the_page_cites_what_the_citation_file_says(tmp_path):
    section = section_of(cite, make_store(tmp_path / "s", [row(commit="ab" * 20)]))
    assert section is not None
    text = Page(section.html).prose()
    stated = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    (law,) = stated["references"]
    for fact in (stated["title"], f"Version {stated['version']}", stated["authors"][0]["name"]):
        assert fact in text
    for author in law["authors"]:
        assert f"{author['given-names']} {author['family-names']}" in text
    assert law["title"] in text and str(law["year"]) in text and law["url"] in section.html
    assert law["collection-title"] in text and "code commit abababababab" in text
