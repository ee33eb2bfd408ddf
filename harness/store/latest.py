"""The latest view of a store: one row per trial, out of all of its attempts."""

import numpy as np
import pandas as pd


def newest(rows: pd.DataFrame) -> np.ndarray:
    """Return the positions of the rows in the latest view, in increasing order.

    A trial is represented by its newest `ok` row if it has one, else by its newest failure. The
    newest row is the one with the highest `measures_version`; among equals the one with the highest
    attempt, then the highest `measurement`. What finished last decides only between two runs at one
    time: clocks may be wrong.
    """
    trials, ids = pd.factorize(rows["trial_id"])
    if len(ids) == len(rows):
        return np.arange(len(rows))

    # Only trials with several rows need to be sorted.
    is_repeated = np.bincount(trials)[trials] > 1
    positions = np.flatnonzero(is_repeated)
    repeated = rows.iloc[positions]
    repeated_trials = trials[positions]
    order = np.lexsort(
        (
            repeated["finished_at"].astype("int64"),
            _measurement(repeated),
            repeated["attempt"],
            repeated["measures_version"],
            repeated["status"].eq("ok").to_numpy(bool),
            repeated_trials,
        )
    )

    sorted_trials = repeated_trials[order]
    is_last = np.append(sorted_trials[1:] != sorted_trials[:-1], True)
    return np.sort(np.concatenate([np.flatnonzero(~is_repeated), positions[order[is_last]]]))


def _measurement(rows: pd.DataFrame) -> np.ndarray:
    """Return the `measurement` of each row; 0 where it is null, as in rows of schema version 8 and
    older."""
    if "measurement" not in rows:
        return np.zeros(len(rows))
    return rows["measurement"].fillna(0).to_numpy(float)


def latest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the latest view, oldest row first."""
    return rows.iloc[newest(rows)].sort_values(["finished_at", "trial_id"]).reset_index(drop=True)
