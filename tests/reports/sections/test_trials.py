"""The section "All trials": every cell is a row's value.

Run alone: python -m pytest tests/reports/sections/test_trials.py
"""

import numpy as np
import pandas as pd
import pytest

from reports.sections.trials import COLUMNS


@pytest.mark.slow
def test_every_cell_of_the_trial_table_is_a_row(rich):
    page, rows = rich
    ok = rows[rows["status"] == "ok"]
    assert {t for t, _ in page.cells} == set(ok.index)

    for (trial, column), text in page.cells.items():
        if column in ok.columns and column != "trial_id":
            value = ok.loc[trial, column]
            if isinstance(value, str):
                assert text == value
            elif pd.isna(value):
                assert text == ""
            elif isinstance(value, bool | np.bool_):
                assert text == ("yes" if value else "no")
            else:
                assert float(text.replace(",", "")) == pytest.approx(float(value), rel=1e-3)
    assert {c for _, c in page.cells} == set(COLUMNS)


@pytest.mark.slow
def test_integers_stay_whole_in_the_table_where_some_row_has_none(rich):
    page, rows = rich
    large = rows.index[rows["n"].eq(60_000)][0]
    unknown = rows.index[rows["family"].eq("pretrained")][0]
    assert (
        page.cells[large, "n"] == "60,000"
        and (unknown, "n") not in page.cells
        and (unknown, "p") in page.cells
    )
