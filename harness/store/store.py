"""The store: a folder or a bucket of Parquet files that only ever grows, readable by plain
`pandas.read_parquet(store)`.

    part-*.parquet     rows, one file per finished batch, each with the full explicit schema; a name
                       ends with the CRC-32 of the content
    _measured-*.rows   rows measured again, in the same form: each stands for one of a part file
    _store.json        marks the folder as a store, and gives its schema version
    _sweeps/           the sweep files that were run here, with the trials each asked for
    _runs/             what each run did, and the time that was forecast for it
    _weights/          final weights as safetensors, NAME = trial id
    _pictures/         smallest changes found of a few images, one PNG per trial
    _checkpoints/      unfinished long trials, as safetensors; each is deleted when its trial ends
    _index/            what became of which trial, for many row files together; may be deleted
    _running-*.json    one for each run that is under way, or was cut off without a word
    _set_aside/        unreadable files, which the next run moves here and names

Names that begin with "_" are skipped by pandas, Arrow and Spark, and *.parquet finds part files
alone, in all folders too: such readers see one row for each attempt. A file appears under its final
name at once (`harness/store/folder.py`), so readers never see half of one.
"""

import uuid
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from harness.errors import UserError
from harness.store import index
from harness.store.bucket import Bucket
from harness.store.folder import DoesNotFit, Folder
from harness.store.index import (
    IDENTITY,
    RowFile,
    identity_of,
    read_index,
    rename_former,
    write_index,
)
from harness.store.location import folder_at
from harness.store.marker import MARKER, read_marker, refuse_inside_another, write_marker
from harness.store.records import RunRecord, SweepRecord, SweepRecords, read_runs
from harness.store.row_files import encode, is_row_file, row_file_name, row_files
from harness.store.rows import read_rows
from harness.store.schema import SCHEMA_VERSION, arrow_schema
from harness.store.torn_files import look_at
from harness.store.trial_files import TrialFiles
from harness.store.whole_file import TEMPORARY

__all__ = ["IDENTITY", "Contents", "RunRecord", "Store", "SweepRecord"]

WRITTEN_LATER = ("_weights", "_pictures", "_checkpoints", "_runs", "_sweeps", "_set_aside")
"""Folders of a store that are written to when trials have ended: too late to learn that one of them
cannot be."""

INDEXED_TOGETHER = 64
"""Row files per file of the index. Rows that are not indexed are read from the row files
themselves."""


class Contents(NamedTuple):
    """What a store holds."""

    rows: pd.DataFrame
    """Every attempt of every trial."""

    problems: list[str]
    """One sentence for each file that is not rows, or holds some that no run writes."""


class Store(TrialFiles):
    """A store that exists. Make one with `create` or `open`."""

    def __init__(self, where: str | Path | Folder):
        super().__init__(where if isinstance(where, Folder) else folder_at(where))

        self._not_indexed: list[tuple[RowFile, pa.Table]] = []
        """Row files that the index does not describe yet, each with its rows' IDENTITY columns."""

        self._sweep_records = SweepRecords(self.files)

        self.written: set[str] = set()
        """Names of the row files that this object has written."""

    def __str__(self) -> str:
        return self.where

    @property
    def where(self) -> str:
        """The store's path or its bucket's address, as the user gave it."""
        return self.files.where

    @property
    def name(self) -> str:
        """The last part of the path or address."""
        path = self.where
        if isinstance(self.files, Bucket):
            path = path.partition("?")[0]
        return Path(path).name

    # Opening

    @classmethod
    def create(cls, where: str | Path) -> "Store":
        """Open a store for writing; create the folder if need be.

        Raises UserError when the path is a file, is not writable, holds something that is not a
        store, or lies inside another store.
        """
        store = cls(where)
        # Another driver may be creating the same store at this moment: its probe is no obstacle.
        others = [e.name for e in store.files.entries() if not e.name.startswith(TEMPORARY)]
        version = read_marker(store.files)
        if others and version is None:
            raise UserError(
                f"the store '{store}' is not empty and not a unilaw store; choose a new folder"
            )

        if version is None:
            refuse_inside_another(store.files)
        store.files.make()
        for folder in WRITTEN_LATER:
            store.files.probe_inside(folder)
        if version is None or version < SCHEMA_VERSION:
            write_marker(store.files)
        return store

    @classmethod
    def open(cls, where: str | Path) -> "Store":
        """Open a store for reading. Raises UserError when there is no store, or one of a newer
        version."""
        store = cls(where)
        if not store.files.there():
            raise UserError(
                f"there is no store '{store}'; it must be a folder that `unilaw run` has written"
            )

        if read_marker(store.files) is None:
            names = [entry.name for entry in store.files.entries()]
            if names and not any(map(is_row_file, names)):
                raise UserError(
                    f"'{store}' is not a unilaw store: it holds neither {MARKER} nor part-*.parquet"
                    " files"
                )
        return store

    # Writing

    def append(self, rows: list[dict[str, Any]], again: bool = False) -> str:
        """Write the rows as one new file, whole or not at all. Return the file's name.

        again: they were measured again, and each stands for a row that the store has.
        Where the disk has no room for them, the weights that were kept for these rows make way.
        Raises ValueError for a column that the schema does not have.
        """
        unknown = {key for row in rows for key in row} - set(arrow_schema().names)
        if unknown:
            raise ValueError(f"columns that the schema does not have: {sorted(unknown)}")

        try:
            name = self.append_table(_table(rows), again)
        except DoesNotFit:
            name = self._append_without_weights(rows, again)
        self.rows_are_written()
        return name

    def _append_without_weights(self, rows: list[dict[str, Any]], again: bool) -> str:
        """Remove the weights that were kept for these rows, and write the rows once more."""
        rows_without = [self.without_new_weights(row) for row in rows]
        try:
            return self.append_table(_table(rows_without), again)
        except DoesNotFit as e:
            count = "row" if len(rows) == 1 else f"{len(rows)} rows"
            raise UserError(
                f"{e}. Not kept: the {count} of the batch that has just ended"
            ) from None

    def append_table(self, table: pa.Table, again: bool = False) -> str:
        """Write a table in today's schema as one new file, as `append` does."""
        table.validate(full=True)
        return self.append_encoded(encode(table), table.num_rows, identity_of(table), again)

    def append_encoded(
        self, content: pa.Buffer, rows: int, identity: pa.Table | None, again: bool
    ) -> str:
        """Write an encoded row file of so many rows, given what `identity_of` its table is."""
        checksum = zlib.crc32(content)
        name = row_file_name(checksum, again)
        self.files.put(name, content)
        self.written.add(name)

        if identity is not None:
            self._not_indexed.append((RowFile(name, content.size, checksum, rows), identity))
        if len(self._not_indexed) >= INDEXED_TOGETHER:
            self.index()
        return name

    def index(self) -> None:
        """Write a file of the index for the row files that it does not describe yet. Without room
        for it there is none, which costs readers time."""
        pending = self._not_indexed
        self._not_indexed = []
        if pending:
            with suppress(UserError):
                write_index(self.files, pending)

    def put_report(self, html: bytes) -> str:
        """Keep the report. Return its path or address."""
        self.files.put("_report.html", html)
        return self.files.path("_report.html")

    def put_sweep(self, sweep: SweepRecord) -> None:
        """Keep what a sweep asked for, with copies of its files from which it can be run again.
        Does nothing when the store has the record."""
        if self.files.size(f"{sweep.stem}.json") is not None:
            return

        self.files.put(f"{sweep.stem}.yaml", sweep.text.encode())
        if sweep.task_source is not None:
            self.files.put(f"{sweep.stem}.py", sweep.task_source.encode())
        self.files.put(f"{sweep.stem}.json", sweep.model_dump_json(indent=1).encode())

    def put_run(self, record: RunRecord) -> None:
        """Keep what a run did."""
        name = f"_runs/{record.sweep}-{uuid.uuid4().hex[:12]}.json"
        self.files.put(name, record.model_dump_json(indent=1).encode())

    # Reading

    def runs(self) -> list[RunRecord]:
        """Return the finished runs, oldest first. Unreadable records are left out."""
        return read_runs(self.files)

    def sweeps(self) -> list[SweepRecord]:
        """Return the sweeps that were run into this store, in order of their first run. Unreadable
        records are left out here; `read` names them."""
        records = self._sweep_records.read().values()
        return [record for record in records if isinstance(record, SweepRecord)]

    def read(
        self,
        columns: Sequence[str] | None = None,
        types_mapper: Callable[[pa.DataType], Any] | None = None,
    ) -> Contents:
        """Return every row that a run can have written, and a sentence about each file that is not
        rows or holds others.

        columns: the columns that are wanted; default: all. Columns of IDENTITY alone are read fast,
        from the index, and their rows come in no particular order. types_mapper: as in
        `pyarrow.Table.to_pandas`. Raises UserError when a row file cannot be opened: a report must
        not pass over such a gap.
        """
        entries = self.files.entries()
        rows = read_rows(self.files, entries, columns)

        problems = rows.problems
        for entry in entries:
            if not entry.name.startswith(("_", ".")) and not is_row_file(entry.name):
                problems.append(
                    f"{entry.name}: is not part of the store; it may trip pandas.read_parquet, so"
                    " move it out"
                )
        for name, record in self._sweep_records.read().items():
            if isinstance(record, str):
                problems.append(f"_sweeps/{name}: {record}")
        return Contents(rows.table.to_pandas(types_mapper=types_mapper), problems)

    def row_file_names(self) -> set[str]:
        """Return the names of all row files."""
        return {entry.name for entry in row_files(self.files.entries())}

    def read_files(self, names: set[str]) -> pd.DataFrame:
        """Return the IDENTITY columns of the rows in these row files, where they can be read."""
        entries = [entry for entry in self.files.entries() if entry.name in names]
        return read_rows(self.files, entries, IDENTITY).table.to_pandas()

    # Unreadable files

    def set_torn_aside(self) -> list[str]:
        """Move unreadable row files to _set_aside/. Return one sentence for each of them.

        Make the index right: its damaged files are deleted, and when it contradicts a sound row
        file, all of it.
        """
        files = row_files(self.files.entries())
        known = read_index(self.files, files)
        self._drop_from_index(known.damaged)
        rename_former(self.files, known.former)
        looks = look_at(self.files, files, known.checksums)
        if any(look.index_is_wrong for look in looks):
            self._drop_from_index([index.FOLDER])
            looks = look_at(self.files, files, {})

        self._not_indexed = [look.for_index for look in looks if look.for_index]
        if len(self._not_indexed) >= INDEXED_TOGETHER:
            self.index()

        sentences = []
        for file, look in zip(files, looks, strict=True):
            if look.damage is None:
                continue
            aside = f"_set_aside/{file.name}.torn"  # no *.parquet, which a reader would stumble on
            with suppress(FileNotFoundError):  # another driver has moved it
                self.files.move(file.name, aside)
                sentences.append(
                    f"{file.name}: {look.damage}; moved to {self.files.address(aside)}"
                )
        return sentences

    def _drop_from_index(self, names: list[str]) -> None:
        for name in names:
            with suppress(UserError):  # not ours to delete: read as if it were not there
                self.files.discard(name)


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=arrow_schema())
