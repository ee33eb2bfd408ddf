"""Failures that no longer count: their task was mended, and the trial has run since under a new id.

A trial's id covers the code and version of its task and the content of its data. A change of these
gives the same configuration and seed a new id, and under the old id the failed row would stay the
newest for ever.
"""

import pandas as pd

TRIAL = ["task", "config_json", "seed"]
"""The columns that are the same under both ids."""

COLUMNS = [
    "trial_id",
    "attempt",
    "status",
    *TRIAL,
    "finished_at",
    "measures_version",
    "measurement",
]
"""The columns that tell which failures are over, and those of the latest view."""


def replaced(newest: pd.DataFrame) -> frozenset[str]:
    """Return the ids of the failed trials in a latest view that a newer row replaces, failed or
    not: one of the same task, configuration and seed."""
    failed = newest[newest["status"].eq("failed")]
    rivals = newest[newest["config_json"].isin(failed["config_json"])]
    last = rivals.groupby(TRIAL)["finished_at"].transform("max")
    over = rivals["status"].eq("failed") & rivals["finished_at"].lt(last)
    return frozenset(rivals.loc[over, "trial_id"])
