"""The rows behind a page as CSV, every figure with all of its digits.

    unilaw report STORE --format csv

One row for each trial in its latest view, failures included, in the page's order. First the columns
that the page shows or derives, then every other column of the rows that holds single values. Lists
stay in the store's Parquet files.
"""

import pandas as pd
import pyarrow as pa

from harness.store.schema import arrow_schema
from reports.evidence import Evidence
from reports.ledger import in_order
from reports.measures import MEASURES

FIRST = ("trial_id", "store", "status", "kind", "seed", "n", "d_ambient", "p", "x_law")
DERIVED = ("in_fit", "whole", "tests_stability", "tests_lipschitz", "why_hollow")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a text that a spreadsheet would compute."""


def as_csv(evidence: Evidence) -> str:
    """Return the rows as CSV. A text that a spreadsheet would take for a formula gets an apostrophe
    before it."""
    trials = in_order(evidence.all_trials)
    parts = [trials, evidence.failures] if len(evidence.failures) else [trials]
    columns = _columns(trials)
    rows = pd.concat([part.reindex(columns=columns) for part in parts], ignore_index=True)
    for name in columns:
        if rows[name].dtype == object or isinstance(rows[name].dtype, pd.StringDtype):
            rows[name] = rows[name].map(_safe, na_action="ignore")
    for name in WHOLE & set(columns):
        rows[name] = rows[name].astype("Int64")
    return rows.to_csv(index=False, lineterminator="\n")


WHOLE = {field.name for field in arrow_schema() if pa.types.is_integer(field.type)}
"""Columns of integers, which pandas widens to floats where a row has none."""


def _columns(trials: pd.DataFrame) -> list[str]:
    """Return the columns of the file, without those that a store's rows cannot have."""
    single = [field.name for field in arrow_schema() if not pa.types.is_nested(field.type)]
    measures = [measure.column for measure in MEASURES]
    wanted = dict.fromkeys([*FIRST, *DERIVED, *measures, *single])
    return [name for name in wanted if name in trials]


def _safe(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
