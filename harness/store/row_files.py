"""Row files: Parquet with page checksums, and what is wrong with a file that cannot be read as
rows.

    part-*.parquet      rows that trials wrote: one for each attempt
    _measured-*.rows    rows measured again: each repeats a row of a part file, with new measures

The second kind is named so that no folder reader, and no pattern of *.parquet, takes it with the
first: a mean over both would count a trial twice.

A file's name ends with the CRC-32 of its content. Where a file and the index contradict each other,
the name tells which of the two is damaged.
"""

import re
import uuid
from contextlib import suppress
from fnmatch import fnmatch

import pyarrow as pa
import pyarrow.parquet as pq

from harness.store.folder import Entry, Folder
from harness.store.schema import arrow_schema

READ_WHOLE_BYTES = 4_000_000
"""A row file up to this size is read whole, even when only a few of its columns are wanted."""

MANY_ROWS = 10_000
"""Files with more rows than this are decoded by several threads."""


def is_row_file(name: str) -> bool:
    """Return whether a file of this name holds rows."""
    of_rows = fnmatch(name, "part-*.parquet") or fnmatch(name, "_measured-*.rows")
    return of_rows and name.isprintable()


def row_file_name(checksum: int, again: bool) -> str:
    """Return a new name for a row file with this CRC-32. again: its rows were measured again."""
    prefix, suffix = ("_measured", "rows") if again else ("part", "parquet")
    return f"{prefix}-{uuid.uuid4().hex}-{checksum:08x}.{suffix}"


def checksum_in(name: str) -> int | None:
    """Return the CRC-32 that a row file's name gives; None for a name of another form."""
    own = r"(?:part|_measured)-[0-9a-f]{32}-([0-9a-f]{8})\.(?:parquet|rows)"
    match = re.fullmatch(own, name)
    return int(match[1], 16) if match else None


def row_files(entries: list[Entry]) -> list[Entry]:
    """Return the row files of a listing."""
    return [entry for entry in entries if entry.is_file and is_row_file(entry.name)]


def encode(table: pa.Table) -> pa.Buffer:
    """Return a table as the content of a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue()


def read_row_file(
    folder: Folder, entry: Entry, schema: pa.Schema, all_columns: bool
) -> pa.Table | str | None:
    """Return a file's rows in the columns of `schema`, or what is wrong with the file.

    Returns None when another driver has moved the file away meanwhile. Raises UserError when the
    file cannot be opened. `all_columns` says that `schema` is the whole row.
    """
    if not all_columns and entry.size > READ_WHOLE_BYTES:
        # On an error the file is read whole below, which names the bucket's trouble.
        with suppress(OSError), folder.open(entry.name) as file:
            table = decode(file, schema)
            if isinstance(table, pa.Table):
                return table

    content = folder.get_if_there(entry.name)
    return None if content is None else decode(pa.BufferReader(content), schema)


def decode(file: pa.NativeFile, schema: pa.Schema) -> pa.Table | str:
    """Return a file's rows in the columns of `schema`, or what is wrong with the file.

    Columns that an older file lacks are null.
    """
    try:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        names = parquet.schema_arrow.names
        table = parquet.read(
            [field.name for field in schema if field.name in names],
            use_threads=parquet.metadata.num_rows > MANY_ROWS,
        )
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as e:
        # OSError: damaged pages. ValueError: metadata that is not UTF-8.
        return f"is torn or not Parquet ({_first_line(e)})"

    for field in arrow_schema():
        if not field.nullable and field.name not in names:
            return f"is not a file of rows: it lacks the column '{field.name}'"

    if table.schema.equals(schema):
        return table.replace_schema_metadata(schema.metadata)
    try:
        columns = [
            table[field.name].cast(field.type)
            if field.name in names
            else pa.nulls(table.num_rows, field.type)
            for field in schema
        ]
    except (pa.ArrowException, KeyError) as e:  # KeyError: two columns have the same name
        return f"has a column of another type ({_first_line(e)})"
    return pa.Table.from_arrays(columns, schema=schema)


def _first_line(e: Exception) -> str:
    return str(e).splitlines()[0][:100]
