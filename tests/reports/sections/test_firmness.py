"""The section "How firm each slope is": slopes under each filter, and their uncertainty budgets.

Run alone: python -m pytest tests/reports/sections/test_firmness.py
"""

import pandas as pd
import pytest

from tests.reports.ledger import check_section, name_of
from tests.reports.reference_fits import slope


@pytest.mark.slow
def test_every_number_is_recomputed_from_rows(rich):
    check_section(rich, "firmness", recomputed)


def recomputed(key: str, used: pd.DataFrame, rows: pd.DataFrame, ledger: dict) -> float:
    name = name_of(key)
    value = ledger[key]["value"]
    if key.startswith("budget:"):
        start, part = key.rpartition(":")[0], key.split(":")[-2]
        shares = [
            v["value"]
            for k, v in ledger.items()
            if k.startswith(start.removesuffix(part)) and k.endswith(":share")
        ]
        assert value >= 0 and sum(shares) == pytest.approx(1)
        return value

    column, factor = key.split(":")[-3], int(key.split(":")[-2])
    onset = rows[rows["family"].eq(used["family"].iloc[0])].groupby("settings_json")["p"].min()
    assert (used["p"] >= factor * used["settings_json"].map(onset)).all()
    cells = used["config_json"] + used["family"]
    central = {"slope": slope(used, used[column]), "cells": cells.nunique()}
    if name in central:
        return central[name]
    assert value <= central["slope"] if name == "low" else value >= central["slope"]
    return value
