"""The store: a folder or a bucket of Parquet files that only ever grows, readable by plain
`pandas.read_parquet(store)`.

    part-*.parquet     rows, one file per finished batch, each with the full explicit schema
    _store.json        marks the folder as a store, and gives its schema version
    _sweeps/           the sweep files that were run here, with the trials each asked for
    _runs/             what each run did, and the time that was forecast for it
    _weights/          final weights as safetensors, NAME = trial id
    _pictures/         smallest changes found of a few images, one PNG per trial
    _checkpoints/      unfinished long trials, as safetensors; each is deleted when its trial ends
    _index/            what became of which trial, for many row files together; may be deleted
    _set_aside/        unreadable files, which the next run moves here and names

Names that begin with "_" are skipped by pandas, Arrow and Spark. A file appears under its final
name at once (`harness/store/folder.py`), so readers never see half of one.
"""

import uuid
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from harness.errors import UserError
from harness.store.bucket import Bucket
from harness.store.folder import AT_ONCE, TEMPORARY, Entry, Folder
from harness.store.index import IDENTITY, RowFile, read_index, write_index
from harness.store.location import folder_at
from harness.store.marker import MARKER, read_marker, write_marker
from harness.store.records import RunRecord, SweepRecord
from harness.store.row_files import decode, encode, is_row_file, row_files
from harness.store.rows import read_rows
from harness.store.schema import SCHEMA_VERSION, arrow_schema

INDEXED_TOGETHER = 64
"""Row files per file of the index. Rows that are not indexed are read from the row files
themselves."""


class Contents(NamedTuple):
    """What a store holds."""

    rows: pd.DataFrame
    """Every attempt of every trial."""

    problems: list[str]
    """One sentence for each file that is not rows."""


class Store:
    """A store that exists. Make one with `create` or `open`."""

    def __init__(self, where: str | Path | Folder):
        self.files = where if isinstance(where, Folder) else folder_at(where)

        self._not_indexed: list[tuple[RowFile, pa.Table]] = []
        """Row files that the index does not describe yet, each with its rows' IDENTITY columns."""

        self._sweep_records: dict[Entry, SweepRecord | str] = {}
        """Every record read so far, or what is wrong with it."""

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

        Raises UserError when the path is a file, is not writable, or holds something that is not a
        store.
        """
        store = cls(where)
        # Another driver may be creating the same store at this moment: its probe is no obstacle.
        others = [e.name for e in store.files.entries() if not e.name.startswith(TEMPORARY)]
        version = read_marker(store.files)
        if others and version is None:
            raise UserError(
                f"the store '{store}' is not empty and not a unilaw store; choose a new folder"
            )

        store.files.make()
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
            if names and not any(fnmatch(name, "part-*.parquet") for name in names):
                raise UserError(
                    f"'{store}' is not a unilaw store: it holds neither {MARKER} nor part-*.parquet"
                    " files"
                )
        return store

    # Writing

    def append(self, rows: list[dict[str, Any]]) -> str:
        """Write the rows as one new file, whole or not at all. Return the file's name.

        Raises ValueError for a column that the schema does not have.
        """
        schema = arrow_schema()
        unknown = {key for row in rows for key in row} - set(schema.names)
        if unknown:
            raise ValueError(f"columns that the schema does not have: {sorted(unknown)}")
        return self.append_table(pa.Table.from_pylist(rows, schema=schema))

    def append_table(self, table: pa.Table) -> str:
        """Write a table in today's schema as one new file, as `append` does."""
        table.validate(full=True)
        content = encode(table)
        name = f"part-{uuid.uuid4().hex}.parquet"
        self.files.put(name, content)

        row_file = RowFile(name, content.size, zlib.crc32(content), table.num_rows)
        self._not_indexed.append((row_file, table.select(IDENTITY)))
        if len(self._not_indexed) >= INDEXED_TOGETHER:
            self.index()
        return name

    def index(self) -> None:
        """Write a file of the index for the row files that it does not describe yet."""
        pending = self._not_indexed
        self._not_indexed = []
        if pending:
            write_index(self.files, pending)

    def put_weights(self, trial_id: str, safetensors: bytes) -> str:
        """Keep a trial's final weights. Return the file's name relative to the store."""
        name = f"_weights/{trial_id}.safetensors"
        self.files.put(name, safetensors)
        return name

    def put_pictures(self, trial_id: str, png: bytes) -> str:
        """Keep the picture of a trial's smallest changes. Return the file's name relative to the
        store."""
        name = f"_pictures/{trial_id}.png"
        self.files.put(name, png)
        return name

    def put_report(self, html: str) -> str:
        """Keep the report. Return its path or address."""
        self.files.put("_report.html", html.encode())
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

    # Files of trials

    def checkpoints(self) -> str:
        """Return the place of checkpoints: an absolute path or a bucket's address with {} in place
        of the trial's id. Creates the folder if need be."""
        self.files.make_inside("_checkpoints")
        return self._safetensors("_checkpoints")

    def weights(self) -> str:
        """Return the place of final weights, in the same form (`harness.store.location.read_kept`
        reads such a file)."""
        return self._safetensors("_weights")

    def _safetensors(self, folder: str) -> str:
        """Return the address of a trial's file with {} for its id and other braces doubled, for
        str.format."""
        mark = uuid.uuid4().hex
        address = self.files.address(f"{folder}/{mark}.safetensors")
        return address.replace("{", "{{").replace("}", "}}").replace(mark, "{}")

    def drop_checkpoints(self, trial_ids: Iterable[str]) -> None:
        """Delete the checkpoints of trials that have a row now, and temporary files of theirs that
        a killed worker left behind."""
        finished = set(trial_ids)
        if not finished:
            return

        for name in self.files.matching("_checkpoints", "*"):
            file = name.removeprefix("_checkpoints/").removeprefix(TEMPORARY)
            if file.partition(".")[0] in finished:
                self.files.delete(name)

    # Reading

    def runs(self) -> list[RunRecord]:
        """Return the finished runs, oldest first. Unreadable records are left out."""
        records = []
        for name in self.files.matching("_runs", "*.json"):
            with suppress(FileNotFoundError, ValueError):
                records.append(RunRecord.model_validate_json(self.files.get(name)))
        return sorted(records, key=lambda record: record.began)

    def sweeps(self) -> list[SweepRecord]:
        """Return the sweeps that were run into this store, in order of their first run. Unreadable
        records are left out here; `read` names them."""
        records = self._read_sweep_records().values()
        return [record for record in records if isinstance(record, SweepRecord)]

    def _read_sweep_records(self) -> dict[str, SweepRecord | str]:
        """Return each record, or what is wrong with it, by file name."""
        listed = [e for e in self.files.entries("_sweeps") if e.name.endswith(".json")]
        for entry in listed:
            if entry in self._sweep_records:
                continue
            try:
                content = self.files.get(f"_sweeps/{entry.name}")
                record = SweepRecord.model_validate_json(content)
            except (FileNotFoundError, ValueError) as e:
                record = f"cannot be read as a sweep's record ({type(e).__name__})"
            self._sweep_records[entry] = record

        listed.sort(key=lambda entry: (entry.modified, entry.name))
        return {entry.name: self._sweep_records[entry] for entry in listed}

    def read(
        self,
        columns: Sequence[str] | None = None,
        types_mapper: Callable[[pa.DataType], Any] | None = None,
    ) -> Contents:
        """Return every row of every readable file, and a sentence about each file that is not rows.

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
        for name, record in self._read_sweep_records().items():
            if isinstance(record, str):
                problems.append(f"_sweeps/{name}: {record}")
        return Contents(rows.table.to_pandas(types_mapper=types_mapper), problems)

    # Unreadable files

    def set_torn_aside(self) -> list[str]:
        """Move unreadable row files to _set_aside/. Return one sentence for each of them.

        A file with the checksum in the index is not decoded again. In a bucket it is not even read,
        because a bucket keeps checksums itself.
        """
        files = row_files(self.files.entries())
        checksums = read_index(self.files, files).checksums
        with ThreadPoolExecutor(AT_ONCE) as pool:
            damages = list(
                pool.map(lambda file: self._damage(file, checksums.get(file.name)), files)
            )
        if len(self._not_indexed) >= INDEXED_TOGETHER:
            self.index()

        sentences = []
        for file, damage in zip(files, damages, strict=True):
            if damage is None:
                continue
            aside = f"_set_aside/{file.name}"
            with suppress(FileNotFoundError):  # another driver has moved it
                self.files.move(file.name, aside)
                sentences.append(f"{file.name}: {damage}; moved to {self.files.address(aside)}")
        return sentences

    def _damage(self, file: Entry, checksum: int | None) -> str | None:
        """Return what is wrong with a row file, or None. Note a sound file that is not indexed for
        the index. `checksum` is the CRC-32 in the index, if the file is there."""
        if checksum is not None and isinstance(self.files, Bucket):
            return None

        content = self.files.get_if_there(file.name)
        if content is None:
            return None
        actual = zlib.crc32(content)
        if actual == checksum:
            return None

        table = decode(pa.BufferReader(content), arrow_schema())
        if isinstance(table, str):
            return table
        # The file can be decoded, but only pages have checksums: names, types and counts have none.
        if checksum is not None:
            return "is torn (its checksum is not the one it was written with)"

        row_file = RowFile(file.name, file.size, actual, table.num_rows)
        self._not_indexed.append((row_file, table.select(IDENTITY)))
        return None
