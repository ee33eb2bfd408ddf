"""Ticks stand at 1, 2 and 5 and are numbers that people read.

Run alone: python -m pytest tests/reports/charts/test_ticks.py
"""

import pytest

from reports.charts.ticks import MOST, readable, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1e3, 5e4, ["1k", "2k", "5k", "10k", "20k", "50k"]),
        (0.09, 12, ["0.1", "0.2", "0.5", "1", "2", "5", "10"]),
        (0.9e3, 2e6, ["1k", "10k", "100k", "1M"]),
        (1e-4, 1e2, ["10⁻⁴", "10⁻³", "0.01", "0.1", "1", "10", "100"]),
        (1e-6, 1e12, ["10⁻⁶", "10⁻⁴", "0.01", "1", "100", "10k", "1M", "100M", "10B", "10¹²"]),
    ],
)
def test_a_logarithmic_axis(low, high, expected):
    assert [label for _, label in ticks(low, high, log=True)] == expected


@pytest.mark.parametrize("high", [1.01, 1.1, 1.9, 3, 40, 1e5, 1e40])
def test_every_logarithmic_axis_has_two_to_ten_ticks_in_its_range(high):
    places = [place for place, _ in ticks(1.0, high, log=True)]
    assert 2 <= len(places) <= MOST + 1 and all(1 <= place <= high for place in places)


def test_a_share_is_in_per_cent():
    labels = [label for _, label in ticks(0.0, 1.0, log=False, share=True)]
    assert labels[0] == "0 %" and labels[-1] == "100 %"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.05, "0.05"),
        (0.002, "0.002"),
        (2e-5, "2·10⁻⁵"),
        (-1500, "-1.5k"),
        (7e9, "7B"),
        (3e15, "3·10¹⁵"),
    ],
)
def test_numbers_are_readable(value, text):
    assert readable(value) == text
