"""Reading all rows of a store, from its row files and, where it suffices, from its index."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from harness.store.folder import AT_ONCE, Entry, Folder
from harness.store.index import IDENTITY, Index, read_index
from harness.store.row_files import is_row_file, read_row_file, row_files
from harness.store.schema import arrow_schema
from harness.store.valid_rows import CHECKED, faults_of, named


class Rows(NamedTuple):
    """The rows of a store's row files."""

    table: pa.Table

    problems: list[str]
    """One sentence for each row file that cannot be read as rows, or holds rows that no run
    writes."""


def read_rows(folder: Folder, entries: list[Entry], columns: Sequence[str] | None = None) -> Rows:
    """Return the rows of the row files in a listing of the folder, without those that no run can
    have written.

    columns: the columns that are wanted; default: all. Columns of IDENTITY alone come from the
    index where it has them, and their rows come in no particular order. Raises UserError when a row
    file cannot be opened.
    """
    wanted = list(arrow_schema().names if columns is None else columns)
    schema = _schema(wanted)

    files = row_files(entries)
    index = Index()
    if set(wanted) <= set(IDENTITY):
        index = read_index(folder, files)
    tables = [schema.empty_table()]
    tables += [table.select(schema.names).cast(schema) for table in index.tables]

    not_indexed = [file for file in files if file.name not in index.checksums]
    found, problems = _read_files(folder, not_indexed, wanted)
    tables.append(found.select(wanted))
    return Rows(pa.concat_tables(tables), not_row_files(entries) + problems)


def _read_files(
    folder: Folder, files: list[Entry], wanted: Sequence[str]
) -> tuple[pa.Table, list[str]]:
    """Return the rows of these files that a run can have written, in the columns `wanted` and
    CHECKED, and what is wrong with files or with other rows."""
    names = [name for name in arrow_schema().names if name in {*wanted, *CHECKED}]
    schema = _schema(names)
    all_columns = names == arrow_schema().names

    tables: dict[str, pa.Table] = {}
    problems = []
    read = partial(read_row_file, folder, schema=schema, all_columns=all_columns)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for file, table in zip(files, pool.map(read, files), strict=True):
            if isinstance(table, pa.Table):
                tables[file.name] = table
            elif table is not None:
                problems.append(f"{file.name}: {table}; its rows are left out")

    # All at once: checking takes as long for one row as for a thousand.
    together = pa.concat_tables([schema.empty_table(), *tables.values()])
    faults = faults_of(together)
    if not faults:
        return together, problems

    ends = np.cumsum([table.num_rows for table in tables.values()])
    bad = np.array(sorted(faults))
    for (name, table), end in zip(tables.items(), ends.tolist(), strict=True):
        begin = end - table.num_rows
        of_file = {at - begin: faults[at] for at in bad[(bad >= begin) & (bad < end)].tolist()}
        if of_file:
            problems.append(f"{name}: {named(of_file, table)}")
    return together.take(np.delete(np.arange(together.num_rows), bad)), problems


def not_row_files(entries: list[Entry]) -> list[str]:
    """Return a sentence for each name of a row file that no file has."""
    return [
        f"{entry.name}: is no file of rows but a folder, or a link that leads out or nowhere"
        for entry in entries
        if is_row_file(entry.name) and not entry.is_file
    ]


def _schema(names: Sequence[str]) -> pa.Schema:
    return pa.schema([arrow_schema().field(name) for name in names])
