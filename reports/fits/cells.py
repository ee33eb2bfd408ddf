"""The measured cells of a table of trials: what every fit against size is made of."""

import numpy as np
import pandas as pd


def cells_of(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return one row per cell: its curve, p, n, d, mean log value of `column` and number of trials.

    rows: columns cell, curve, p, n, d_ambient and `column`, whose values are positive.
    """
    logs = rows.assign(log_y=np.log(rows[column].astype(float)))
    return logs.groupby("cell", sort=True).agg(
        curve=("curve", "first"),
        p=("p", "first"),
        n=("n", "first"),
        d=("d_ambient", "first"),
        log_y=("log_y", "mean"),
        rows=("p", "size"),
    )


def members_of(curve: pd.Series) -> list[np.ndarray]:
    """Return the positions of each curve's cells, curves in the order of their names."""
    _, number = np.unique(curve, return_inverse=True)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.cumsum(np.bincount(number))[:-1])
