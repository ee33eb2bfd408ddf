"""The section "The law, and what was measured": the slopes on its cards.

Run alone: python -m pytest tests/reports/sections/test_law.py
"""

import pandas as pd
import pytest

from tests.reports.ledger import check_section, name_of
from tests.reports.reference_fits import slope_number


@pytest.mark.slow
def test_every_number_is_recomputed_from_rows(rich):
    check_section(rich, "law", recomputed)


def recomputed(key: str, used: pd.DataFrame, rows: pd.DataFrame, ledger: dict) -> float:
    if key.startswith("shape:"):
        return shape_number(name_of(key), ledger[key]["value"])
    return slope_number(key, used, rows, ledger)


def shape_number(name: str, value: float) -> float:
    """Return the value where it can be one: tests/reports/fits computes it from other draws."""
    if name.startswith("power"):
        assert 0 <= value <= 1
    elif name.startswith("planted"):
        assert value in (0.16, 0.03, 0.3, -0.05)
    elif name == "place planted":
        assert value > 0
    else:
        assert name.startswith("error of") and 1 <= value < 2
    return value


@pytest.mark.slow
def test_models_without_a_place_are_counted_and_their_kinds_get_no_verdict(rich):
    prose = " ".join(" ".join(rich[0].text).split())
    assert "finished trials are not in this chart: nobody published how many tokens" in prose
    assert ("count:unplaced", "2.0", "2") in rich[0].data
    assert "trained elsewhere, outside the law's condition: no fit, no verdict" in prose
