"""Each chart of the page has a key of its own.

Run alone: python -m pytest tests/reports/test_chart_keys.py
"""

import pytest
from markupsafe import Markup

from reports.charts.chart import Chart
from reports.page import charts_by_key
from reports.sections.section import Section


def section(name: str, *keys: str) -> Section:
    return Section(name, name, Markup(""), figures={key: Chart(key, ()) for key in keys})


def test_a_key_that_two_sections_use_is_an_error():
    with pytest.raises(ValueError, match="'accuracy'"):
        charts_by_key([section("size", "accuracy", "ece"), section("ladder", "accuracy")])


def test_charts_are_kept_in_the_order_of_the_page():
    sections = [section("size", "accuracy"), section("data"), section("ladder", "loss")]
    assert list(charts_by_key(sections)) == ["accuracy", "loss"]
