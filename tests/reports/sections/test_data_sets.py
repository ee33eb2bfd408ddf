"""The section "The data": medians over data sets.

Run alone: python -m pytest tests/reports/sections/test_data_sets.py
"""

import numpy as np
import pandas as pd
import pytest

from tests.reports.ledger import check_section, name_of


@pytest.mark.slow
def test_every_number_is_recomputed_from_rows(rich):
    check_section(rich, "data", recomputed)


def recomputed(key: str, used: pd.DataFrame, rows: pd.DataFrame, ledger: dict) -> float:
    name = name_of(key)
    assert not used["data_hash"].duplicated().any()
    if name.startswith("distance"):
        place = {"1 %": 0, "25 %": 2, "50 %": 3, "75 %": 4, "99 %": 6}[
            name.removeprefix("distance ")
        ]
        return float(np.median([q[place] for q in used["pair_distance_quantiles"]]))
    return {"sets": len(used), "d": used["d_ambient"].iloc[0]}.get(name) or used[name].median()
