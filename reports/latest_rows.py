"""Read a store as one table to work with: one row for each trial, its newest measurement, with the
fields of its configuration as columns.

rows = latest_rows("runs/quickstart")
rows[rows.status == "ok"].groupby(["kind", "width"])["test_accuracy"].mean()
"""

import json
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from harness.store.latest import latest
from harness.store.schema import arrow_schema
from harness.store.store import Store
from reports.entries import in_arrow
from reports.kinds import with_kinds

PREFIX = "config_"
"""Before a configuration's field that has the name of another column, as `n` has."""


def latest_rows(where: str | Path) -> pd.DataFrame:
    """Return the latest view of a store, oldest trial first.

    The columns are those of docs/columns.md, then `kind` (None where the trial failed), then the
    fields of the trials' configurations. A field that only some tasks have is null in the rows of
    the others.

    Warns of each file that cannot be read as rows. Raises UserError when there is no store.
    """
    contents = Store.open(where).read(types_mapper=in_arrow)
    for problem in contents.problems:
        warnings.warn(problem, stacklevel=3)

    rows = latest(contents.rows)
    fields = _fields(rows)
    return pd.concat([rows, _kinds(rows), fields], axis=1)


def _kinds(rows: pd.DataFrame) -> pd.Series:
    ok = rows[rows["status"].eq("ok")]
    if ok.empty:
        return pd.Series(None, index=rows.index, dtype=object, name="kind")
    kinds = with_kinds(ok)["kind"].reindex(rows.index)
    return kinds.astype(object).where(kinds.notna(), None)


def _fields(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one column for each field of the configurations."""
    codes, texts = pd.factorize(rows["config_json"])
    configs = [json.loads(text) for text in texts]
    names = dict.fromkeys(name for config in configs for name in config)
    taken = {*arrow_schema().names, "kind"}

    columns = {}
    for name in names:
        column = f"{PREFIX}{name}" if name in taken else name
        columns[column] = _typed([config.get(name) for config in configs]).array.take(codes)
    return pd.DataFrame(columns, index=rows.index)


def _typed(values: list[Any]) -> pd.Series:
    """Return values of JSON as a column. Whole numbers stay whole where some are missing."""
    present = {type(value) for value in values if value is not None}
    return pd.Series(values, dtype="Int64" if present == {int} else None)
