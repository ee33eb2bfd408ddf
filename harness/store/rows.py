"""Reading all rows of a store, from its row files and, where it suffices, from its index."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import pyarrow as pa

from harness.store.folder import AT_ONCE, Entry, Folder
from harness.store.index import IDENTITY, Index, read_index
from harness.store.row_files import read_row_file, row_files
from harness.store.schema import arrow_schema


class Rows(NamedTuple):
    """The rows of a store's row files."""

    table: pa.Table

    problems: list[str]
    """One sentence for each row file that cannot be read as rows."""

    files: int
    """The number of row files that hold the rows."""


def read_rows(folder: Folder, entries: list[Entry], columns: Sequence[str] | None = None) -> Rows:
    """Return the rows of the row files in a listing of the folder.

    columns: the columns that are wanted; default: all. Columns of IDENTITY alone come from the
    index where it has them, and their rows come in no particular order. Raises UserError when a row
    file cannot be opened.
    """
    schema = arrow_schema()
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])

    files = row_files(entries)
    index = Index()
    if columns is not None and set(columns) <= set(IDENTITY):
        index = read_index(folder, files)
    tables = [schema.empty_table()]
    tables += [table.select(schema.names).cast(schema) for table in index.tables]

    not_indexed = [file for file in files if file.name not in index.checksums]
    read = partial(read_row_file, folder, schema=schema, all_columns=columns is None)
    problems = []
    gone = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for file, table in zip(not_indexed, pool.map(read, not_indexed), strict=True):
            if isinstance(table, pa.Table):
                tables.append(table)
            elif table is None:
                gone += 1
            else:
                problems.append(f"{file.name}: {table}; its rows are left out")

    return Rows(
        table=pa.concat_tables(tables),
        problems=problems,
        files=len(files) - gone - len(problems),
    )
