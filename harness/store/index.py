"""The index: what became of every trial, for many row files together.

Each file of the index repeats the IDENTITY columns of some row files. Its schema's metadata holds
`parts`, a JSON object with a list: the name, the size in bytes, the CRC-32 and the number of rows
of each of these row files. A file of the index is named after the SHA-256 of its content, so that
damage anywhere in it is seen. It is a Parquet file, but no pattern of *.parquet finds it: a reader
would count its rows twice. The index may be deleted: the row files hold everything.
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import UserError
from harness.store.folder import AT_ONCE, Entry, Folder
from harness.store.row_files import encode
from harness.store.schema import arrow_schema
from harness.store.small_json import read_json
from harness.store.valid_rows import faults_of

FOLDER = "_index"

SUFFIX = ".index"

FORMER_SUFFIX = ".parquet"
"""Of files that unilaw wrote up to schema version 8. The next run gives them today's names."""

_OUTCOME = {
    "trial_id",
    "attempt",
    "status",
    "failure_kind",
    "task",
    "finished_at",
    "measures_version",
    "measurement",
    "gpus",
    "weights_file",
}
IDENTITY = tuple(name for name in arrow_schema().names if name in _OUTCOME)
"""The columns that say what became of a trial. The index repeats them, so that nobody opens
thousands of row files to count trials."""


class RowFile(NamedTuple):
    """A row file as the index describes it."""

    name: str

    size: int
    """Bytes."""

    checksum: int
    """CRC-32 of the content."""

    rows: int


class Index:
    """What the index says about row files that are still as they were when they were indexed."""

    def __init__(self) -> None:
        self.checksums: dict[str, int] = {}
        """CRC-32 of each row file, by name."""

        self.tables: list[pa.Table] = []
        """The IDENTITY columns of these row files."""

        self.former: list[str] = []
        """Sound files of the index under the names that they had up to schema version 8."""

        self.damaged: list[str] = []
        """Files of the index that are not as they were written; FOLDER itself when it cannot be
        listed."""

    def add(self, table: pa.Table, sizes: dict[str, int]) -> None:
        """Add one file of the index, given the row files' sizes in bytes by name.

        Row files that do not exist, have another size, or were added before are left out. Raises
        ValueError, KeyError, TypeError or ArrowException when the file is damaged.
        """
        parts = read_json(table.schema.metadata[b"parts"])["parts"]
        row_files = [RowFile(*part) for part in parts]
        schema = pa.schema([arrow_schema().field(name) for name in IDENTITY])
        rows = _in_todays_columns(table, schema)
        counts = [int(file.rows) for file in row_files]
        if sum(counts) != rows.num_rows:
            raise ValueError("an index of other rows")
        rows.validate(full=True)

        current = [
            file.name not in self.checksums and sizes.get(file.name) == file.size
            for file in row_files
        ]
        if not all(current):
            rows = rows.filter(pa.array(np.repeat(current, counts), pa.bool_()))
        self.tables.append(rows)
        for file, is_current in zip(row_files, current, strict=True):
            if is_current:
                self.checksums[file.name] = file.checksum


def _in_todays_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a file of the index with the columns of `schema`. A column that older files lack is
    null."""
    lacking = [field for field in schema if field.nullable and field.name not in table.column_names]
    for field in lacking:
        table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(schema.names).cast(schema)


def identity_of(table: pa.Table) -> pa.Table | None:
    """Return what the index keeps of a row file's rows.

    Returns None when a row is invalid (`faults_of`). Such a file stays out of the index, so that
    every reader opens it and reports the row.
    """
    return None if faults_of(table) else table.select(IDENTITY)


def read_index(folder: Folder, row_files: list[Entry]) -> Index:
    """Return what the index says about these row files. Damaged files of the index are skipped, and
    named in `Index.damaged`."""
    index = Index()
    try:
        entries = folder.entries(FOLDER)
    except UserError:
        index.damaged = [FOLDER]
        return index

    sizes = {entry.name: entry.size for entry in row_files}
    # Another driver may be writing a temporary file here at this moment.
    names = [f"{FOLDER}/{e.name}" for e in entries if e.name.endswith((SUFFIX, FORMER_SUFFIX))]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for name, table in zip(names, pool.map(lambda n: _read(folder, n), names), strict=True):
            try:
                if table is not None:
                    index.add(table, sizes)
                    if name.endswith(FORMER_SUFFIX):
                        index.former.append(name)
                    continue
            except (pa.ArrowException, ValueError, KeyError, TypeError):
                pass
            index.damaged.append(name)
    return index


def _read(folder: Folder, name: str) -> pa.Table | None:
    """Return a file of the index; None when it is not what was written under this name."""
    try:
        content = folder.get(name)
        is_whole = _stem(name) == _stem(_name(content))
        return pq.read_table(pa.BufferReader(content)) if is_whole else None
    except (UserError, OSError, ValueError, pa.ArrowException):
        return None


def write_index(folder: Folder, files: list[tuple[RowFile, pa.Table]]) -> None:
    """Write one file of the index for these row files, each with its rows' IDENTITY columns."""
    parts = json.dumps({"parts": [row_file for row_file, _ in files]})
    rows = pa.concat_tables([table for _, table in files])
    content = encode(rows.replace_schema_metadata({"parts": parts}))
    folder.put(_name(content), content)


def rename_former(folder: Folder, names: list[str]) -> None:
    """Give these files of the index today's names."""
    for name in names:
        with suppress(FileNotFoundError, UserError):  # another driver's, or not ours: read as it is
            folder.move(name, f"{_stem(name)}{SUFFIX}")


def _name(content: bytes | pa.Buffer) -> str:
    return f"{FOLDER}/{hashlib.sha256(content).hexdigest()[:32]}{SUFFIX}"


def _stem(name: str) -> str:
    return name.rpartition(".")[0]
