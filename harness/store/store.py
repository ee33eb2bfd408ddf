"""The store: a folder or a bucket of Parquet files that only ever grows, readable by plain
`pandas.read_parquet(store)`.

    part-*.parquet     rows, one file per finished batch, each with the full explicit schema
    _store.json        says that this folder is a store, and of which schema version
    _sweeps/           the sweep files that were run here, with the trials each asked for
    _runs/             what each run did, and the time that was forecast for it
    _weights/          final weights as safetensors, NAME = trial id
    _pictures/         smallest changes found of a few images, one PNG per trial
    _checkpoints/      unfinished long trials, as safetensors; each goes when its trial ends
    _index/            what became of which trial, for many row files together; may be deleted
    _set_aside/        unreadable files, moved here and named by the next run

Names that begin with "_" are skipped by pandas, Arrow and Spark. A file appears under its final
name at once (`harness/store/location.py`), so readers never see half of one.
"""

import hashlib
import json
import uuid
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from harness.errors import UserError
from harness.store.location import TEMPORARY, Bucket, Folder, Found
from harness.store.schema import SCHEMA_VERSION, arrow_schema

MARKER = "_store.json"
SWEEP_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"

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
"""What became of a trial. The index repeats these columns, so that nobody opens thousands of row
files to count them."""

INDEXED_TOGETHER = 64
"""Row files per file of the index. What is not indexed is read from the row files themselves."""

AT_ONCE = 16
"""Files read at once: threads wait for a bucket or a network disk most of the time."""

READ_WHOLE_BYTES = 4_000_000
"""A row file up to this size is read whole even when few of its columns are wanted."""


class SweepRecord(BaseModel):
    """A sweep that was run into a store: its name, its file's text, the text of its --task-file,
    and the task of each trial id that it asked for. Checked on reading: its name becomes part of
    file names."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(pattern=SWEEP_NAME)
    text: str
    task_source: str | None
    trials: dict[Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")], str]

    @property
    def stem(self) -> str:
        """Where the record's files lie in the store: stem + .json, .yaml and, with a task file,
        .py."""
        content = "\n".join([self.text, self.task_source or "", *sorted(self.trials)])
        return f"_sweeps/{self.name}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


class RunRecord(BaseModel):
    """A run that came to its end: how many trials it ran, how long that took, and how long it
    was forecast to take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sweep: str = Field(pattern=SWEEP_NAME)
    began: AwareDatetime
    inline: bool
    trials: int = Field(ge=0)
    forecast_s: float = Field(ge=0)
    seconds: float = Field(ge=0)


class Contents(NamedTuple):
    """What a store holds: every attempt's row, and the files that are not rows, each with what
    is wrong with it."""

    rows: pd.DataFrame
    problems: list[str]


class Store:
    """A store that exists. Make one with `create` or `open`."""

    def __init__(self, where: str | Path | Folder):
        self.files = where if isinstance(where, Folder) else Folder.at(where)
        self._not_indexed: list[tuple[str, int, int, pa.Table]] = []
        """Row files less their rows: name, size and checksum; and what the index repeats of the
        rows."""
        self._parsed: dict[Found, SweepRecord | str] = {}

    def __str__(self) -> str:
        return self.where

    @property
    def where(self) -> str:
        """The store's path or its bucket's address, as it was given."""
        return self.files.where

    @property
    def name(self) -> str:
        """The last part of that."""
        return Path(
            self.where.partition("?")[0] if isinstance(self.files, Bucket) else self.where
        ).name

    @classmethod
    def create(cls, where: str | Path) -> "Store":
        """Open for writing, making the folder if need be.

        Raises UserError when the path is a file, is not writable, or holds something that is not a
        store.
        """
        store = cls(where)
        # another driver's, at this moment
        others = [
            found.name for found in store.files.entries() if not found.name.startswith(TEMPORARY)
        ]
        version = store._checked_version()
        if others and version is None:
            raise UserError(
                f"the store '{store}' is not empty and not a unilaw store; choose a new folder"
            )
        store.files.make()
        if (version or 0) < SCHEMA_VERSION:
            store._mark()
        return store

    @classmethod
    def open(cls, where: str | Path) -> "Store":
        """Open for reading. Raises UserError when there is no store, or one of a newer version."""
        store = cls(where)
        if not store.files.there():
            raise UserError(
                f"there is no store '{store}'; it must be a folder that `unilaw run` has written"
            )
        if store._checked_version() is None:
            names = [found.name for found in store.files.entries()]
            if names and not any(fnmatch(name, "part-*.parquet") for name in names):
                raise UserError(
                    f"'{store}' is not a unilaw store: it holds neither {MARKER} nor part-*.parquet"
                    " files"
                )
        return store

    def _mark(self) -> None:
        self.files.put(
            MARKER, json.dumps({"unilaw_store": 1, "schema_version": SCHEMA_VERSION}).encode()
        )

    def _checked_version(self) -> int | None:
        """The schema version of the newest unilaw that wrote here; None without a marker. Raises
        UserError when too new."""
        try:
            found = int(json.loads(self.files.get(MARKER))["schema_version"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as e:
            raise UserError(
                f"{self.files.address(MARKER)}: cannot be read as a store's marker"
                f" ({type(e).__name__})"
            ) from None
        if found > SCHEMA_VERSION:
            raise UserError(
                f"the store '{self}' has rows of schema version {found}; this unilaw reads up to"
                f" {SCHEMA_VERSION}: update unilaw"
            )
        return found

    def append(self, rows: list[dict[str, Any]]) -> str:
        """Put the rows as one new file, atomically; gives its name. Raises on a column that the
        schema does not have."""
        schema = arrow_schema()
        unknown = {key for row in rows for key in row} - set(schema.names)
        if unknown:
            raise ValueError(f"columns that the schema does not have: {sorted(unknown)}")
        return self.append_table(pa.Table.from_pylist(rows, schema=schema))

    def append_table(self, table: pa.Table) -> str:
        """As `append`, for a table in today's schema."""
        table.validate(full=True)
        content = _parquet(table)
        name = f"part-{uuid.uuid4().hex}.parquet"
        self.files.put(name, content)
        self._not_indexed.append((name, content.size, zlib.crc32(content), table.select(IDENTITY)))
        if len(self._not_indexed) >= INDEXED_TOGETHER:
            self.index()
        return name

    def put_weights(self, trial_id: str, safetensors: bytes) -> str:
        """Keep a trial's final weights; gives the file's name relative to the store."""
        name = f"_weights/{trial_id}.safetensors"
        self.files.put(name, safetensors)
        return name

    def put_pictures(self, trial_id: str, png: bytes) -> str:
        """Keep the picture of a trial's smallest changes; gives the file's name relative to the
        store."""
        name = f"_pictures/{trial_id}.png"
        self.files.put(name, png)
        return name

    def put_report(self, html: str) -> str:
        """Keep the report; gives where it lies."""
        self.files.put("_report.html", html.encode())
        return self.files.path("_report.html")

    def put_sweep(self, sweep: SweepRecord) -> None:
        """Keep what a sweep asked for, with copies of its files to run it from again; once."""
        if self.files.size(f"{sweep.stem}.json") is None:
            self.files.put(f"{sweep.stem}.yaml", sweep.text.encode())
            if sweep.task_source is not None:
                self.files.put(f"{sweep.stem}.py", sweep.task_source.encode())
            self.files.put(f"{sweep.stem}.json", sweep.model_dump_json(indent=1).encode())

    def put_run(self, record: RunRecord) -> None:
        """Keep what a run did."""
        self.files.put(
            f"_runs/{record.sweep}-{uuid.uuid4().hex[:12]}.json",
            record.model_dump_json(indent=1).encode(),
        )

    def runs(self) -> list[RunRecord]:
        """The finished runs, oldest first; unreadable records are left out."""
        found = []
        for name in _files(self.files, "_runs", "*.json"):
            with suppress(FileNotFoundError, ValueError):
                found.append(RunRecord.model_validate_json(self.files.get(name)))
        return sorted(found, key=lambda record: record.began)

    def checkpoints(self) -> str:
        """Where checkpoints lie: an absolute path or a bucket's address with {} in place of the
        trial's id. Makes the folder if need be."""
        self.files.make_inside("_checkpoints")
        return self._safetensors("_checkpoints")

    def weights(self) -> str:
        """Where final weights lie, in the same way (`harness.store.location.read_kept`)."""
        return self._safetensors("_weights")

    def _safetensors(self, name: str) -> str:
        mark = uuid.uuid4().hex
        return (
            self.files.address(f"{name}/{mark}.safetensors")
            .replace("{", "{{")
            .replace("}", "}}")
            .replace(mark, "{}")
        )

    def drop_checkpoints(self, trial_ids: Iterable[str]) -> None:
        """Forget the checkpoints of trials that have a row now, and what a killed worker had
        half written."""
        done = set(trial_ids)
        for name in _files(self.files, "_checkpoints", "*") if done else ():
            if name.removeprefix("_checkpoints/").removeprefix(TEMPORARY).partition(".")[0] in done:
                self.files.delete(name)

    def sweeps(self) -> list[SweepRecord]:
        """The sweeps that were run into this store, in order of their first run; unreadable
        records are left out here and named by `read`."""
        return [record for record in self._records().values() if isinstance(record, SweepRecord)]

    def _records(self) -> dict[str, SweepRecord | str]:
        """File name → record, or what is wrong with it."""
        listed = [found for found in self.files.entries("_sweeps") if found.name.endswith(".json")]
        for found in listed:
            if found not in self._parsed:
                try:
                    self._parsed[found] = SweepRecord.model_validate_json(
                        self.files.get(f"_sweeps/{found.name}")
                    )
                except (FileNotFoundError, ValueError) as e:
                    self._parsed[found] = f"cannot be read as a sweep's record ({type(e).__name__})"
        return {
            found.name: self._parsed[found]
            for found in sorted(listed, key=lambda found: (found.modified, found.name))
        }

    def read(self, columns: Sequence[str] | None = None) -> Contents:
        """Every row of every readable file, and a sentence about each file that is not rows.

        columns: those that are wanted; default: all. Those of IDENTITY alone are read fast, and
        their rows come in no particular order. Raises UserError when a row file cannot be opened:
        that is not a gap to report over.
        """
        listed = self.files.entries()
        table, problems, _ = self._rows(listed, columns)
        foreign = sorted(
            f.name for f in listed if not f.name.startswith(("_", ".")) and not _is_part(f.name)
        )
        problems += [
            f"{name}: is not part of the store; it may trip pandas.read_parquet, so move it out"
            for name in foreign
        ]
        problems += [
            f"_sweeps/{name}: {record}"
            for name, record in self._records().items()
            if isinstance(record, str)
        ]
        return Contents(table.to_pandas(), problems)

    def _rows(
        self, listed: list[Found], columns: Sequence[str] | None
    ) -> tuple[pa.Table, list[str], int]:
        """The rows of the listed row files, a sentence about each that is none, and how many
        files hold the rows."""
        schema = (
            arrow_schema()
            if columns is None
            else pa.schema([arrow_schema().field(name) for name in columns])
        )
        parts = _parts(listed)
        known, tables, problems = _Index({}, []), [schema.empty_table()], []
        if columns is not None and set(columns) <= set(IDENTITY):
            known = self._index(parts)
            tables += [table.select(schema.names).cast(schema) for table in known.tables]
        rest = [part for part in parts if part.name not in known.checksums]
        gone = 0
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for part, table in zip(
                rest,
                pool.map(lambda part: self._read_part(part, columns, schema), rest),
                strict=True,
            ):
                if isinstance(table, pa.Table):
                    tables.append(table)
                elif table is None:
                    gone += 1
                else:
                    problems.append(f"{part.name}: {table}; its rows are left out")
        return pa.concat_tables(tables), problems, len(parts) - gone - len(problems)

    def _read_part(
        self, part: Found, columns: Sequence[str] | None, schema: pa.Schema
    ) -> pa.Table | str | None:
        """The file's rows, what is wrong with it, or None when another driver has moved it away
        meanwhile."""
        if columns is not None and part.size > READ_WHOLE_BYTES:
            # a bucket's trouble is named when it is read whole
            with suppress(OSError), self.files.open(part.name) as file:
                table = _read_rows(file, schema)
                if isinstance(table, pa.Table):
                    return table
        try:
            return _read_rows(pa.BufferReader(self.files.get(part.name)), schema)
        except FileNotFoundError:
            return None

    def _index(self, parts: list[Found]) -> "_Index":
        """What the index knows of these files. A file of another size than it was written with
        is not known."""
        sizes = {part.name: part.size for part in parts}
        schema = pa.schema([arrow_schema().field(name) for name in IDENTITY])
        found = _Index({}, [])
        segments = _files(self.files, "_index", "*.parquet")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for content in pool.map(self._get_or_none, segments):
                if content is not None:
                    # damaged: the row files have it all
                    with suppress(pa.ArrowException, OSError, ValueError, KeyError, TypeError):
                        found.add(pq.read_table(pa.BufferReader(content)), schema, sizes)
        return found

    def _get_or_none(self, name: str) -> bytes | None:
        try:
            return self.files.get(name)
        except FileNotFoundError:
            return None

    def index(self) -> None:
        """Write a file of the index for what was appended here since the last one."""
        pending, self._not_indexed = self._not_indexed, []
        if pending:
            said = [[*part, table.num_rows] for *part, table in pending]
            rows = pa.concat_tables([table for *_, table in pending]).replace_schema_metadata(
                {"parts": json.dumps(said)}
            )
            self.files.put(f"_index/{uuid.uuid4().hex}.parquet", _parquet(rows))

    def set_torn_aside(self) -> list[str]:
        """Move unreadable row files to _set_aside/; says which, one sentence each. Files that
        still have the checksum they were written with are not read again; a bucket keeps that
        itself."""
        parts = _parts(self.files.entries())
        checksums = self._index(parts).checksums
        with ThreadPoolExecutor(AT_ONCE) as pool:
            checked = pool.map(lambda part: self._torn(part, checksums.get(part.name)), parts)
            torn = [(part.name, what) for part, what in zip(parts, checked, strict=True) if what]
        if len(self._not_indexed) >= INDEXED_TOGETHER:
            self.index()
        said = []
        for name, what in torn:
            with suppress(FileNotFoundError):  # another driver did
                self.files.move(name, f"_set_aside/{name}")
                said.append(f"{name}: {what}; moved to {self.files.address(f'_set_aside/{name}')}")
        return said

    def _torn(self, part: Found, checksum: int | None) -> str | None:
        """What is wrong with a row file. What is whole and not indexed will be."""
        if checksum is not None and isinstance(self.files, Bucket):
            return None
        content = self._get_or_none(part.name)
        if content is None or (checksum is not None and zlib.crc32(content) == checksum):
            return None
        table = _read_rows(pa.BufferReader(content), arrow_schema())
        if isinstance(table, str):
            return table
        # readable, but pages alone are checked: names, types and counts are not
        if checksum is not None:
            return "is torn (its checksum is not the one it was written with)"
        self._not_indexed.append(
            (part.name, part.size, zlib.crc32(content), table.select(IDENTITY))
        )
        return None


class _Index(NamedTuple):
    """Row files by name, with the checksum of each, and the identity columns of all of them."""

    checksums: dict[str, int]
    tables: list[pa.Table]

    def add(self, segment: pa.Table, schema: pa.Schema, sizes: dict[str, int]) -> None:
        """One file of the index, less the row files that are not there, have another size, or
        are known already."""
        parts = json.loads(segment.schema.metadata[b"parts"])
        rows = segment.select(schema.names).cast(schema)
        kept = [
            name not in self.checksums and sizes.get(name) == size for name, size, _, _ in parts
        ]
        counts = [int(count) for *_, count in parts]
        if sum(counts) != rows.num_rows:
            raise ValueError("an index of other rows")
        rows.validate(full=True)
        self.tables.append(
            rows if all(kept) else rows.filter(pa.array(np.repeat(kept, counts), pa.bool_()))
        )
        self.checksums.update(
            {
                name: checksum
                for (name, _, checksum, _), keep in zip(parts, kept, strict=True)
                if keep
            }
        )


def _parts(listed: list[Found]) -> list[Found]:
    return [found for found in listed if found.is_file and _is_part(found.name)]


def _is_part(name: str) -> bool:
    return fnmatch(name, "part-*.parquet") and name.isprintable()


def _files(folder: Folder, below: str, pattern: str) -> list[str]:
    return [
        f"{below}/{found.name}"
        for found in folder.entries(below)
        if found.is_file and fnmatch(found.name, pattern)
    ]


def _parquet(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue()


def _read_rows(file: pa.NativeFile, schema: pa.Schema) -> pa.Table | str:
    """The file's rows in today's schema, or as many of its columns as `schema` has; or what is
    wrong with it."""
    try:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        names = parquet.schema_arrow.names
        table = parquet.read(
            [f.name for f in schema if f.name in names],
            use_threads=parquet.metadata.num_rows > 10_000,
        )
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as e:
        # OSError: damaged pages; ValueError: metadata that is not UTF-8
        return f"is torn or not Parquet ({str(e).splitlines()[0][:100]})"
    missing = [f.name for f in arrow_schema() if not f.nullable and f.name not in names]
    if missing:
        return f"is not a file of rows: it lacks the column '{missing[0]}'"
    if table.schema.equals(schema):
        return table.replace_schema_metadata(schema.metadata)
    try:
        columns = [
            table[f.name].cast(f.type) if f.name in names else pa.nulls(table.num_rows, f.type)
            for f in schema
        ]
    except (pa.ArrowException, KeyError) as e:  # KeyError: a column stands twice
        return f"has a column of another type ({str(e).splitlines()[0][:100]})"
    return pa.Table.from_arrays(columns, schema=schema)


def newest(rows: pd.DataFrame) -> np.ndarray:
    """Positions of the rows in the latest view: one per trial, its newest `ok` row if it has
    one, else its newest failure."""
    trials, ids = pd.factorize(rows["trial_id"])
    if len(ids) == len(rows):
        return np.arange(len(rows))
    several = np.bincount(trials)[trials] > 1
    of_several = np.flatnonzero(several)
    some, its = rows.iloc[of_several], trials[of_several]
    finished = some["finished_at"].astype("int64")
    order = np.lexsort(
        (
            some["attempt"],
            finished,
            some["measures_version"],
            some["status"].eq("ok").to_numpy(bool),
            its,
        )
    )
    last = np.append(its[order][1:] != its[order][:-1], True)
    return np.sort(np.concatenate([np.flatnonzero(~several), of_several[order[last]]]))


def latest(rows: pd.DataFrame) -> pd.DataFrame:
    """The latest view, oldest row first."""
    return rows.iloc[newest(rows)].sort_values(["finished_at", "trial_id"]).reset_index(drop=True)


def compact(source: str | Path, target: str | Path) -> tuple[int, int]:
    """Copy a store into a new one with a single row file; gives files before and rows.

    Every attempt is kept. The target is a store only when all of it is there; nothing of it stays
    when it cannot be written. Raises UserError when the target exists, or when the source holds
    unreadable files (their rows would be lost silently).
    """
    old, new = Store.open(source), Store(target)
    if new.files.there():
        raise UserError(f"the target '{target}' exists; compact writes a new store")
    table, torn, files = old._rows(old.files.entries(), None)
    if torn:
        raise UserError(f"'{source}' holds {torn[0]}; move it out before compacting")
    try:
        new.files.make()
        kept = [
            name for folder in ("_weights", "_pictures") for name in _files(old.files, folder, "*")
        ]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda name: new.files.put(name, old.files.get(name)), kept))
        for record in old.sweeps():
            new.put_sweep(record)
        for run in old.runs():
            new.put_run(run)
        if table.num_rows:
            new.append_table(table)
            new.index()
        new._mark()
    except UserError:
        new.files.clear()
        raise
    return files, table.num_rows
