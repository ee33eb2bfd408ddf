"""The section "Where the law can bind": the ceiling over what was measured, cell by cell.

Run alone: python -m pytest tests/reports/sections/test_binding.py
"""

import pandas as pd
import pytest

from tests.reports.claims.recomputed import ceilings
from tests.reports.ledger import check_section, name_of


@pytest.mark.slow
def test_every_number_is_recomputed_from_rows(rich):
    check_section(rich, "binding", recomputed)


def recomputed(key: str, used: pd.DataFrame, rows: pd.DataFrame, ledger: dict) -> float:
    name = name_of(key)
    cells = ceilings(used)
    if name == "cells":
        return len(cells)
    if name == "binding":
        return (cells["low"] < 1).sum()

    (cell,) = cells.to_dict("records")
    one = used.iloc[0]
    return {
        "n": one["n"],
        "d": one["d_ambient"],
        "p": one["p"],
        "c": 1.0,
        "over low": cell["low"] / cell["stability"],
        "over high": cell["high"] / cell["stability"],
        **cell,
    }[name]
