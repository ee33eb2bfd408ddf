"""Copy a store into one with a single row file, which opens faster. Rows that were measured again
get a second file, so that plain readers of the folder find one row for each attempt."""

import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.errors import UserError
from harness.store.folder import AT_ONCE, Entry, Folder
from harness.store.index import identity_of
from harness.store.marker import MARKER, refuse_inside_another, write_marker
from harness.store.row_files import decode, row_files
from harness.store.rows import not_row_files
from harness.store.schema import arrow_schema
from harness.store.store import Store
from harness.store.writer import Writer

FROM_FILES = 500
"""A store with this many row files should be compacted. pandas takes some 10 ms to open each, so
from here on several seconds; a single file of the same rows opens many times faster."""

ROWS_TOGETHER = 4_000
"""Rows that are held in memory at once, and written as one row group."""

HALF = "_compacting.json"
"""Marks a target that is not finished, and says which process writes it."""


class Compacted(NamedTuple):
    """What a compaction did."""

    files: int
    """Row files of the source."""
    rows: int
    files_now: int
    """Row files of the target: none without rows, two where some rows were measured again."""


def advice(store: Store) -> list[str]:
    """Return one sentence that a store of many row files should be compacted, and how; none for
    one with fewer than FROM_FILES."""
    files = len(store.row_file_names())
    if files < FROM_FILES:
        return []
    command = shlex.join(["unilaw", "compact", store.where, store.files.beside("-compacted")])
    return [
        f"{files} row files: from {FROM_FILES} on a store opens slowly; copy it into one file with"
        f" {command}"
    ]


def compact(source: str | Path, target: str | Path) -> Compacted:
    """Copy a store into a new one with a single row file, and one of rows measured again where
    there are such.

    Every attempt is kept. The target is marked as a store only once everything is there; when it
    cannot be written, nothing of it remains, and what a killed compaction left there is removed.
    Raises UserError when the target exists or lies in a store, or when the source holds unreadable
    files, whose rows would be lost silently.
    """
    old = Store.open(source)
    new = Store(target)
    refuse_inside_another(new.files)
    _remove_half(new.files)
    if new.files.there():
        raise UserError(f"the target '{target}' exists; compact writes a new store")

    entries = old.files.entries()
    for problem in not_row_files(entries):
        raise _unreadable(old, problem)
    files = row_files(entries)
    together = _together(old, files)

    try:
        _copy(old, together, new)
    except (UserError, KeyboardInterrupt):
        new.files.clear()
        raise
    return Compacted(len(files), sum(one.rows for one in together), len(together))


class _Together(NamedTuple):
    """The rows of many row files as the content of one."""

    content: pa.Buffer
    rows: int
    identity: pa.Table | None
    """What the index keeps of them."""
    again: bool
    """Whether they were measured again."""


class _Encoder:
    """A row file in memory that rows are added to."""

    def __init__(self, again: bool):
        self.again = again
        self.rows = 0
        self._identities: list[pa.Table | None] = []
        self._sink = pa.BufferOutputStream()
        self._writer = pq.ParquetWriter(
            self._sink, arrow_schema(), compression="zstd", write_page_checksum=True
        )

    def add(self, table: pa.Table) -> None:
        """Add rows as one row group."""
        if table.num_rows:
            self._writer.write_table(table)
            self.rows += table.num_rows
            self._identities.append(identity_of(table))

    def close(self) -> _Together:
        """Return the file."""
        self._writer.close()
        sound = [identity for identity in self._identities if identity is not None]
        all_sound = bool(sound) and len(sound) == len(self._identities)
        identity = pa.concat_tables(sound) if all_sound else None
        return _Together(self._sink.getvalue(), self.rows, identity, self.again)


def _together(old: Store, files: list[Entry]) -> list[_Together]:
    """Read row files and encode their rows, of which few are in memory at once: those that trials
    wrote, and those measured again. Up to schema version 8 both lay in the same files."""
    own = _Encoder(again=False)
    again = _Encoder(again=True)
    for table in _groups(old, files):
        is_own = table["measured_at"].is_null()
        own.add(table.filter(is_own))
        again.add(table.filter(pc.call_function("invert", [is_own])))
    return [one.close() for one in (own, again) if one.rows]


def _groups(old: Store, files: list[Entry]) -> Iterator[pa.Table]:
    """Yield the rows of row files, in order, about ROWS_TOGETHER at a time. Raises UserError when a
    file cannot be read as rows."""

    def read(file: Entry) -> pa.Table:
        content = old.files.get_if_there(file.name)
        if content is None:
            raise _unreadable(old, f"{file.name}: another process has just moved it away")
        table = decode(pa.BufferReader(content), arrow_schema())
        if isinstance(table, str):
            raise _unreadable(old, f"{file.name}: {table}")
        return table

    pending: list[pa.Table] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for begin in range(0, len(files), AT_ONCE):
            pending += pool.map(read, files[begin : begin + AT_ONCE])
            if sum(table.num_rows for table in pending) >= ROWS_TOGETHER:
                yield pa.concat_tables(pending)
                pending = []
    if pending:
        yield pa.concat_tables(pending)


def _unreadable(old: Store, problem: str) -> UserError:
    return UserError(f"'{old}' holds {problem}; move it out before compacting")


def _copy(old: Store, together: list[_Together], new: Store) -> None:
    new.files.make()
    new.files.put(HALF, Writer.this().model_dump_json().encode())

    names = [*old.files.matching("_weights", "*"), *old.files.matching("_pictures", "*")]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda name: new.files.put(name, old.files.get(name)), names))

    for sweep in old.sweeps():
        new.put_sweep(sweep)
    for run in old.runs():
        new.put_run(run)

    for one in together:
        new.append_encoded(one.content, one.rows, one.identity, one.again)
    new.index()

    # Last, so that a copy that was interrupted is not taken for a store.
    write_marker(new.files)
    new.files.delete(HALF)


def _remove_half(target: Folder) -> None:
    """Remove what a killed compaction left. Raises UserError when one is at work there."""
    half = target.get_if_there(HALF)
    if half is None or target.size(MARKER) is not None:
        return

    with suppress(ValueError):
        writer = Writer.model_validate_json(half)
        if not writer.has_ended():
            raise UserError(
                f"{writer} is compacting a store into '{target}'; if it has ended, delete that"
                " folder"
            )
    target.clear()
