"""The section "Where the law can bind": the ceiling over what was measured, cell by cell.

Run alone: python -m pytest tests/reports/sections/test_binding.py
"""

import math

import pandas as pd
import pytest

from tests.reports.claims.recomputed import ceilings
from tests.reports.ledger import check_section, name_of


@pytest.mark.slow
def test_every_number_is_recomputed_from_rows(rich):
    check_section(rich, "binding", recomputed)


def recomputed(key: str, used: pd.DataFrame, rows: pd.DataFrame, ledger: dict) -> float:
    name = name_of(key)
    if key.startswith("binding:radius:"):
        return radius(name, used)
    if name in of_cell(used):
        return of_cell(used)[name]
    cells = ceilings(used)
    if name == "cells":
        return len(cells)
    if name == "binding":
        return (cells["known"] & (cells["low"] < 1)).sum()

    (cell,) = cells.to_dict("records")
    over = {f"over {end}": cell[end] / cell["stability"] for end in ("low", "high")}
    return {**cell, **over}[name]


def of_cell(used: pd.DataFrame) -> dict[str, float]:
    one = used.iloc[0]
    return {"n": one["n"], "d": one["d_ambient"], "p": one["p"], "c": 1.0}


def radius(name: str, used: pd.DataFrame) -> float:
    """Return a number of the table of training radii again."""

    def r_law(row: pd.Series, nats: float) -> float:
        per_point = nats * row["p"] / row["n"] + 0.56 + math.log(40) / row["n"]
        return math.sqrt(8 / row["d_ambient"] * per_point)

    cells = used.drop_duplicates(["config_json", "family"])
    if name == "cells":
        return len(cells)
    if name == "binding":
        return sum(r_law(row, 1) < row["radius_ceiling"] for _, row in cells.iterrows())
    one = used.iloc[0]
    figures = {"low": r_law(one, 1), "high": r_law(one, 22.2), "r_inf": one["radius_ceiling"]}
    return {**of_cell(used), **figures, "radius": one.get("training_radius")}[name]
