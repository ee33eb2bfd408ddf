"""Compute slopes and their held-out errors by other code than the report's."""

import numpy as np
import pandas as pd
import pytest

from tests.reports.ledger import name_of


def slope(rows: pd.DataFrame, y: pd.Series) -> float:
    """Return the mean over curves of each curve's least-squares slope, to check the report's slopes
    against."""
    return float(
        np.mean(
            [
                np.polyfit(np.log(own["p"].astype(float)), np.log(y[own.index].astype(float)), 1)[0]
                for _, own in rows.groupby(rows["settings_json"] + rows["family"])
            ]
        )
    )


def held_out(rows: pd.DataFrame, y: pd.Series) -> float:
    errors = []
    rows = rows.assign(
        y=np.log(y), x=np.log(rows["p"].astype(float)), curve=rows["family"] + rows["settings_json"]
    )
    largest = rows.groupby("curve")["p"].transform("max") == rows["p"]
    kept = rows[~largest]
    b = slope(kept, kept["y"].map(np.exp))

    for curve, last in rows[largest].groupby("curve"):
        level = (kept["y"] - b * kept["x"])[kept["curve"] == curve].mean()
        errors.append(last["y"].mean() - level - b * last["x"].iloc[0])
    return float(np.exp(np.sqrt(np.mean(np.square(errors)))))


def slope_number(key: str, used: pd.DataFrame, rows: pd.DataFrame, ledger: dict) -> float:
    """Return one number of a slope in the ledger, computed again. For the ends of an interval only
    their side is checked."""
    name = name_of(key)
    column = key.split(":")[-2]
    if name == "dropped":
        return (
            rows.loc[rows["family"] == used["family"].iloc[0], column].isna().sum()
            if "robust" not in column
            else 0
        )

    used = used[["p", "family", "settings_json", column]]  # of 300 columns
    if name in ("cells", "curves"):
        curve = used["family"] + used["settings_json"]
        return (curve + used["p"].astype(str)).nunique() if name == "cells" else curve.nunique()

    y = used[column]
    if name in ("smallest", "largest"):
        single = [
            slope(rows, y[rows.index])
            for _, rows in used.groupby(used["family"] + used["settings_json"])
        ]
        return min(single) if name == "smallest" else max(single)

    central = slope(used, y)
    if name == "slope":
        return central
    value = ledger[key]["value"]
    if name == "low":
        assert value <= central + 1e-9 and value > central - 0.5
    elif name == "high":
        assert value >= central - 1e-9 and value < central + 0.5
    else:
        assert name == "held-out" and value == pytest.approx(held_out(used, y), rel=1e-6)
    return value
