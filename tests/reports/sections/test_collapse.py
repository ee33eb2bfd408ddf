"""The section "Does everything depend on p/(n·d)?": its exponents and ratios.

Run alone: python -m pytest tests/reports/sections/test_collapse.py
"""

import numpy as np
import pandas as pd
import pytest

from tests.reports.ledger import check_section, name_of


@pytest.mark.slow
def test_every_number_is_recomputed_from_rows(rich):
    check_section(rich, "collapse", recomputed)


def recomputed(key: str, used: pd.DataFrame, rows: pd.DataFrame, ledger: dict) -> float:
    name = name_of(key)
    design = np.column_stack(
        [np.ones(len(used)), np.log(used["p"]), -np.log(used["n"]), -np.log(used["d_ambient"])]
    )
    _, b, b_n, b_d = np.linalg.lstsq(design, np.log(used["stability_attack_mean"]), rcond=None)[0]
    central = {"b": b, "b_n": b_n, "b_d": b_d, "b_n - b": b_n - b, "b_d - b": b_d - b}
    if name in central:
        return central[name]
    if name in ("cells", "curves"):
        return used.groupby(
            ["n", "d_ambient", "p"] if name == "cells" else ["n", "d_ambient"]
        ).ngroups
    value = ledger[key]["value"]
    if name.endswith((" low", " high")):
        start = key.rpartition(" ")[0]
        middle = ledger[start]["value"]
        assert value <= middle if name.endswith("low") else value >= middle
    elif name == "power":
        assert 0 <= value <= 1
    elif name.startswith("error "):
        assert 1 <= value < 2
    else:
        assert name.startswith("gain ")
    return value
