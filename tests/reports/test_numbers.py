"""How the page writes a number: no sign on a zero, no ratio near 1 that reads as 1.

Run alone: python -m pytest tests/reports/test_numbers.py
"""

import pytest

from reports.numbers import Number


@pytest.mark.parametrize(
    ("value", "style", "expected"),
    [
        (-0.004, "signed", "0.00"),
        (0.004, "signed", "0.00"),
        (-0.006, "signed", "-0.01"),
        (10.0, "signed", "+10.00"),
        (-0.04, "points", "0.0"),
        (16.2, "points", "+16.2"),
        (-0.0004, "growth", "0.0 %"),
        (-0.004, "growth", "−0.4 %"),
        (-0.0004, "growth end", "0.0"),
        (1.0031, "factor", "1.003"),
        (1.07, "factor", "1.07"),
        (0.9982, "factor", "0.998"),
        (1234.0, "factor", "1,234"),
        (float("nan"), "factor", "none"),
    ],
)
def test_a_number_is_written_as_it_is_read(value, style, expected):
    assert str(Number("k", value, "how", style=style)) == expected
