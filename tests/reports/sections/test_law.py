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
        value = ledger[key]["value"]
        assert name_of(key).startswith("error of") and 1 <= value < 2
        return value
    return slope_number(key, used, rows, ledger)


@pytest.mark.slow
def test_models_without_a_place_are_counted_and_their_kinds_get_no_verdict(rich):
    prose = " ".join(" ".join(rich[0].text).split())
    assert "finished trials are not in this chart: nobody published how many tokens" in prose
    assert ("count:unplaced", "2.0", "2") in rich[0].data
    assert "trained elsewhere, outside the law's condition: no fit, no verdict" in prose
