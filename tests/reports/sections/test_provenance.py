"""The section "Provenance": runs with their forecasts, and trials trained together.

Run alone: python -m pytest tests/reports/sections/test_provenance.py
"""

import re
from pathlib import Path

import pytest

from harness.store.store import RunRecord, Store
from reports.sections import provenance
from tests.reports.page_reader import Page, section_of
from tests.reports.stores import NOW, make_store, power_law


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

    section = section_of(provenance, Path(str(store)))
    assert section is not None
    rows = re.findall(r"<tr><td>(2026-01-02 03:0.*?)</td></tr>", section.html)
    assert [row.split("</td><td>") for row in rows] == [
        ["2026-01-02 03:05", "made, inline", "12", "0", "25", ""],
        ["2026-01-02 03:07", "made", "12", "10", "25", "2.50"],
    ]
    without = section_of(provenance, make_store(tmp_path / "none", power_law(-0.2)))
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
