"""Columns of lists of structs, as one table of their entries.

They stay in Arrow: as Python objects, the forty corruptions of a row take twenty times the memory.
"""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from harness.store.schema import arrow_schema


def in_arrow(kind: pa.DataType) -> pd.ArrowDtype | None:
    """Return the pandas type that keeps a column of lists of structs as Arrow holds it; None for
    other types."""
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        return pd.ArrowDtype(kind)
    return None


def entries(column: pd.Series, *fields: str) -> pd.DataFrame:
    """Return these fields of all entries, one entry a line, rows in order and in each row its
    entries in order; `row` is the position of the row."""
    lists = _lists(column)
    structs = lists.flatten()
    kept = {
        field: values.to_pandas()
        for field, values in zip(
            (part.name for part in structs.type), structs.flatten(), strict=True
        )
        if field in fields
    }
    row = pc.call_function("list_parent_indices", [lists]).to_numpy()
    return pd.DataFrame({"row": row, **kept})


def has_entries(column: pd.Series) -> pd.Series:
    """Return which rows have an entry."""
    lengths = pc.call_function("list_value_length", [_lists(column)])
    return pd.Series(lengths.fill_null(0).to_numpy() > 0, index=column.index)


def _lists(column: pd.Series) -> pa.ListArray:
    lists = pa.array(column, arrow_schema().field(str(column.name)).type)
    return lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
