"""The index: what became of every trial, for many row files together.

Each file of the index repeats the IDENTITY columns of some row files. Its schema's metadata holds
`parts`, a JSON list with the name, the size in bytes, the CRC-32 and the number of rows of each of
these row files. The index may be deleted: the row files hold everything.
"""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.store.folder import AT_ONCE, Entry, Folder
from harness.store.row_files import encode
from harness.store.schema import arrow_schema

_OUTCOME = {
    "trial_id",
    "attempt",
    "status",
    "failure_kind",
    "task",
    "finished_at",
    "measures_version",
    "gpus",
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

    def add(self, table: pa.Table, sizes: dict[str, int]) -> None:
        """Add one file of the index, given the row files' sizes in bytes by name.

        Row files that do not exist, have another size, or were added before are left out. Raises
        ValueError, KeyError, TypeError or ArrowException when the file is damaged.
        """
        row_files = [RowFile(*part) for part in json.loads(table.schema.metadata[b"parts"])]
        schema = pa.schema([arrow_schema().field(name) for name in IDENTITY])
        rows = table.select(schema.names).cast(schema)
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


def read_index(folder: Folder, row_files: list[Entry]) -> Index:
    """Return what the index says about these row files. Damaged files of the index are skipped."""
    sizes = {entry.name: entry.size for entry in row_files}
    names = folder.matching("_index", "*.parquet")

    index = Index()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for content in pool.map(folder.get_if_there, names):
            if content is None:
                continue
            with suppress(pa.ArrowException, OSError, ValueError, KeyError, TypeError):
                index.add(pq.read_table(pa.BufferReader(content)), sizes)
    return index


def write_index(folder: Folder, files: list[tuple[RowFile, pa.Table]]) -> None:
    """Write one file of the index for these row files, each with its rows' IDENTITY columns."""
    parts = json.dumps([row_file for row_file, _ in files])
    rows = pa.concat_tables([table for _, table in files])
    content = encode(rows.replace_schema_metadata({"parts": parts}))
    folder.put(f"_index/{uuid.uuid4().hex}.parquet", content)
