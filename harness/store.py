"""The store: a folder of Parquet files that only ever grows, readable by plain `pandas.read_parquet(folder)`.

    part-*.parquet     rows, one file per finished batch, each with the full explicit schema
    _store.json        says that this folder is a store, and of which schema version
    _sweeps/           the sweep files that were run here, with the trials each asked for
    _runs/             what each run did, and the time that was forecast for it
    _weights/          final weights as safetensors, NAME = trial id
    _pictures/         smallest changes found of a few images, one PNG per trial
    _checkpoints/      unfinished long trials, as safetensors; each goes when its trial has ended for good
    _set_aside/        files that could not be read, moved here by the next run and named when that happens

Names that begin with "_" are skipped by pandas, Arrow and Spark. A file appears under its final name by one
rename, so readers never see half of one.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from harness.errors import UserError
from harness.schema import SCHEMA_VERSION, arrow_schema

MARKER = "_store.json"
SWEEP_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"


class SweepRecord(BaseModel):
    """A sweep that was run into a store: its name, its file's text, the text of its --task-file, and the task of each
    trial id that it asked for. Checked on reading: its name becomes part of file names."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(pattern=SWEEP_NAME)
    text: str
    task_source: str | None
    trials: dict[Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")], str]

    @property
    def stem(self) -> str:
        """Where the record's files lie in the store: stem + .json, .yaml and, with a task file, .py."""
        content = "\n".join([self.text, self.task_source or "", *sorted(self.trials)])
        return f"_sweeps/{self.name}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


class RunRecord(BaseModel):
    """A run that came to its end: how many trials it ran, how long that took, and how long it was forecast to take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sweep: str = Field(pattern=SWEEP_NAME)
    began: AwareDatetime
    inline: bool
    trials: int = Field(ge=0)
    forecast_s: float = Field(ge=0)
    seconds: float = Field(ge=0)


class Contents(NamedTuple):
    """What a store holds: every attempt's row, and the files that are not rows, each with what is wrong with it."""

    rows: pd.DataFrame
    problems: list[str]


class Store:
    """A store that exists. Make one with `create` or `open`."""

    def __init__(self, folder: Path):
        self.folder = folder

    @classmethod
    def create(cls, folder: Path) -> "Store":
        """Open for writing, making the folder if need be.

        Raises UserError when the path is a file, is not writable, or holds something that is not a store.
        """
        try:
            if folder.exists() and not folder.is_dir():
                raise UserError(f"the store '{folder}' is a file; it must be a folder")
            if folder.is_dir() and not (folder / MARKER).exists() and any(folder.iterdir()):
                raise UserError(f"the store '{folder}' is not empty and not a unilaw store; choose a new folder")
            folder.mkdir(parents=True, exist_ok=True)
            store = cls(folder)
            if store._checked_version() < SCHEMA_VERSION:
                store._put(MARKER, json.dumps({"unilaw_store": 1, "schema_version": SCHEMA_VERSION}).encode())
            (folder / f"_probe-{uuid.uuid4().hex}").touch()
            for probe in folder.glob("_probe-*"):
                probe.unlink(missing_ok=True)
        except OSError as e:
            raise UserError(f"the store '{folder}' cannot be written: {e.strerror}") from None
        return store

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Open for reading. Raises UserError when there is no store, or one of a newer version."""
        store = cls(folder)
        try:
            if not folder.is_dir():
                raise UserError(f"there is no store '{folder}'; it must be a folder that `unilaw run` has written")
            if not (folder / MARKER).exists() and any(folder.iterdir()) and not any(folder.glob("part-*.parquet")):
                raise UserError(f"'{folder}' is not a unilaw store: it holds neither {MARKER} nor part-*.parquet files")
        except OSError as e:
            raise UserError(f"the store '{folder}' cannot be read: {e.strerror}") from None
        store._checked_version()
        return store

    def _checked_version(self) -> int:
        """The schema version of the newest unilaw that wrote here; 0 without a marker. Raises UserError when too new."""
        path = self.folder / MARKER
        if not path.exists():
            return 0
        try:
            found = int(json.loads(path.read_text())["schema_version"])
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise UserError(f"{path}: cannot be read as a store's marker ({type(e).__name__})") from None
        if found > SCHEMA_VERSION:
            raise UserError(
                f"the store '{self.folder}' has rows of schema version {found}; this unilaw reads up to {SCHEMA_VERSION}: update unilaw"
            )
        return found

    def append(self, rows: list[dict[str, Any]]) -> Path:
        """Put the rows as one new file, atomically. Raises on a column that the schema does not have."""
        schema = arrow_schema()
        unknown = {key for row in rows for key in row} - set(schema.names)
        if unknown:
            raise ValueError(f"columns that the schema does not have: {sorted(unknown)}")
        table = pa.Table.from_pylist(rows, schema=schema)
        table.validate(full=True)
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
        return self._put(f"part-{uuid.uuid4().hex}.parquet", sink.getvalue().to_pybytes())

    def put_weights(self, trial_id: str, safetensors: bytes) -> str:
        """Keep a trial's final weights; gives the file's name relative to the store."""
        name = f"_weights/{trial_id}.safetensors"
        self._put(name, safetensors)
        return name

    def put_pictures(self, trial_id: str, png: bytes) -> str:
        """Keep the picture of a trial's smallest changes; gives the file's name relative to the store."""
        name = f"_pictures/{trial_id}.png"
        self._put(name, png)
        return name

    def put_sweep(self, sweep: SweepRecord) -> None:
        """Keep what a sweep asked for, with copies of its files to run it from again; once."""
        if not (self.folder / f"{sweep.stem}.json").exists():
            self._put(f"{sweep.stem}.yaml", sweep.text.encode())
            if sweep.task_source is not None:
                self._put(f"{sweep.stem}.py", sweep.task_source.encode())
            self._put(f"{sweep.stem}.json", sweep.model_dump_json(indent=1).encode())

    def put_run(self, record: RunRecord) -> None:
        """Keep what a run did."""
        self._put(f"_runs/{record.sweep}-{uuid.uuid4().hex[:12]}.json", record.model_dump_json(indent=1).encode())

    def runs(self) -> list[RunRecord]:
        """The finished runs, oldest first; unreadable records are left out."""
        found = []
        for path in (self.folder / "_runs").glob("*.json"):
            with suppress(OSError, ValueError):
                found.append(RunRecord.model_validate_json(path.read_bytes()))
        return sorted(found, key=lambda record: record.began)

    def checkpoints(self) -> str:
        """Where checkpoints lie, as an absolute path with {} in place of the trial's id; makes the folder if need be."""
        (self.folder / "_checkpoints").mkdir(exist_ok=True)
        return self._safetensors("_checkpoints")

    def weights(self) -> str:
        """Where final weights lie, in the same way."""
        return self._safetensors("_weights")

    def _safetensors(self, name: str) -> str:
        folder = (self.folder / name).resolve()
        return f"{str(folder).replace('{', '{{').replace('}', '}}')}/{{}}.safetensors"

    def drop_checkpoints(self, trial_ids: Iterable[str]) -> None:
        """Forget the checkpoints of trials that have a row now, and what a killed worker had half written."""
        done = set(trial_ids)
        for path in Path(self.checkpoints().format("")).parent.iterdir():
            if path.name.removeprefix("_tmp-").partition(".")[0] in done:
                path.unlink(missing_ok=True)

    def sweeps(self) -> list[SweepRecord]:
        """The sweeps that were run into this store, in order of their first run; unreadable records are left out here
        and named by `read`."""
        return [record for record in self._records().values() if isinstance(record, SweepRecord)]

    def _records(self) -> dict[str, "SweepRecord | str"]:
        """File name → record, or what is wrong with it."""
        found: dict[str, SweepRecord | str] = {}
        for path in sorted((self.folder / "_sweeps").glob("*.json"), key=lambda p: (p.stat().st_mtime, p.name)):
            try:
                found[path.name] = SweepRecord.model_validate_json(path.read_bytes())
            except (OSError, ValueError) as e:
                found[path.name] = f"cannot be read as a sweep's record ({type(e).__name__})"
        return found

    def read(self) -> Contents:
        """Every row of every readable file, and a sentence about each file that is not rows.

        Raises UserError when a row file cannot be opened: that is not a gap to report over.
        """
        tables, problems = [], []
        for path in self._row_files():
            table = _read_rows(path)
            if isinstance(table, str):
                problems.append(f"{path.name}: {table}; its rows are left out")
            else:
                tables.append(table)
        problems += [f"{name}: is not part of the store; it may trip pandas.read_parquet, so move it out" for name in self._foreign()]
        problems += [f"_sweeps/{name}: {record}" for name, record in self._records().items() if isinstance(record, str)]
        empty = arrow_schema().empty_table()
        rows = pa.concat_tables([empty, *tables]) if tables else empty
        return Contents(rows.to_pandas(), problems)

    def set_torn_aside(self) -> list[str]:
        """Move unreadable row files to _set_aside/; says which, one sentence each."""
        said = []
        for path in self._row_files():
            what = _read_rows(path)
            if isinstance(what, str):
                target = self.folder / "_set_aside" / path.name
                target.parent.mkdir(exist_ok=True)
                os.replace(path, target)
                said.append(f"{path.name}: {what}; moved to {target}")
        return said

    def _row_files(self) -> list[Path]:
        return sorted(p for p in self.folder.glob("part-*.parquet") if p.is_file())

    def _foreign(self) -> list[str]:
        named = (p.name for p in self.folder.iterdir())
        return sorted(name for name in named if not name.startswith(("_", ".")) and not fnmatch(name, "part-*.parquet"))

    def _put(self, name: str, content: bytes) -> Path:
        """Write under a temporary name in the same folder, then rename: all of it or nothing. Raises ValueError outside the store."""
        target = self.folder / name
        if not target.resolve().is_relative_to(self.folder.resolve()):
            raise ValueError(f"'{name}' leads out of the store")
        target.parent.mkdir(parents=True, exist_ok=True)
        with _temporary(target.parent) as temporary:
            temporary.write_bytes(content)
            os.replace(temporary, target)
        return target


def _read_rows(path: Path) -> pa.Table | str:
    """The file's rows in today's schema, or what is wrong with it. Raises UserError when it cannot be opened."""
    try:
        content = path.read_bytes()
    except OSError as e:
        raise UserError(f"{path}: cannot be read: {e.strerror}") from None
    try:
        table = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True).read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as e:  # OSError: damaged pages; ValueError: metadata that is not UTF-8
        return f"is torn or not Parquet ({str(e).splitlines()[0][:100]})"
    missing = [f.name for f in arrow_schema() if not f.nullable and f.name not in table.schema.names]
    if missing:
        return f"is not a file of rows: it lacks the column '{missing[0]}'"
    try:
        columns = [table[f.name].cast(f.type) if f.name in table.schema.names else pa.nulls(table.num_rows, f.type) for f in arrow_schema()]
    except (pa.ArrowException, KeyError) as e:  # KeyError: a column stands twice
        return f"has a column of another type ({str(e).splitlines()[0][:100]})"
    return pa.Table.from_arrays(columns, schema=arrow_schema())


@contextmanager
def _temporary(folder: Path):
    path = folder / f"_tmp-{uuid.uuid4().hex}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def latest(rows: pd.DataFrame) -> pd.DataFrame:
    """The latest view: one row per trial, its newest `ok` row if it has one, else its newest failure."""
    order = rows.assign(_ok=rows["status"].eq("ok")).sort_values(
        ["trial_id", "_ok", "measures_version", "finished_at", "attempt"], kind="stable"
    )
    newest = order.drop_duplicates("trial_id", keep="last")
    return newest.drop(columns="_ok").sort_values(["finished_at", "trial_id"]).reset_index(drop=True)


def compact(source: Path, target: Path) -> tuple[int, int]:
    """Copy a store into a new one with a single row file; gives files before and rows.

    Every attempt is kept. Raises UserError when the target exists, or when the source holds unreadable files
    (their rows would be lost silently).
    """
    store = Store.open(source)
    if target.exists():
        raise UserError(f"the target '{target}' exists; compact writes a new store")
    contents = store.read()
    torn = [p for p in contents.problems if "rows are left out" in p]
    if torn:
        raise UserError(f"'{source}' holds {torn[0]}; move it out before compacting")
    files = len(store._row_files())
    new = Store.create(target)
    table = pa.concat_tables([arrow_schema().empty_table(), *(t for p in store._row_files() if not isinstance(t := _read_rows(p), str))])
    if table.num_rows:
        new.append(table.to_pylist())
    for record in store.sweeps():
        new.put_sweep(record)
    for run in store.runs():
        new.put_run(run)
    for folder in ("_weights", "_pictures"):
        for path in _files_below(source / folder):
            new._put(f"{folder}/{path.name}", path.read_bytes())
    return files, table.num_rows


def _files_below(folder: Path) -> Iterable[Path]:
    return sorted(p for p in folder.glob("*") if p.is_file()) if folder.is_dir() else ()
