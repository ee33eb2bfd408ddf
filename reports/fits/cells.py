"""The measured cells of a table of trials: what every fit against size is made of."""

import numpy as np
import pandas as pd


def with_value(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the rows whose value of `column` is positive, and of them the columns that a slope
    needs: a row of a store has some two hundred."""
    needed = rows[["trial_id", "cell", "curve", "p", "n", "d_ambient", column]]
    return needed[needed[column] > 0]


def cells_of(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return one row per cell: its curve, p, n, d, mean log value of `column` and number of trials.

    rows: columns cell, curve, p, n, d_ambient and `column`, whose values are positive. By positions
    and not by `groupby`, which takes ten times as long and is called hundreds of times a page.
    """
    number, names = pd.factorize(rows["cell"], sort=True)
    first = np.unique(number, return_index=True)[1]
    count = np.bincount(number, minlength=len(names))
    logs = np.log(rows[column].to_numpy(float))
    return pd.DataFrame(
        {
            "curve": rows["curve"].to_numpy()[first],
            "p": rows["p"].to_numpy()[first],
            "n": rows["n"].to_numpy()[first],
            "d": rows["d_ambient"].to_numpy()[first],
            "log_y": np.bincount(number, logs, minlength=len(names)) / count,
            "rows": count,
        },
        index=pd.Index(names, name="cell"),
    )


def members_of(curve: pd.Series) -> list[np.ndarray]:
    """Return the positions of each curve's cells, curves in the order of their names."""
    _, number = np.unique(curve, return_inverse=True)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.cumsum(np.bincount(number))[:-1])
