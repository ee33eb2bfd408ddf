"""Read a table from a CSV, TSV, JSON or Parquet file, from a store, or from a data frame, without a
guess about what its columns mean.

    table = read_table("runs.csv")
    table.columns["loss"][0], table.rows[0]     # the first cell, and its row in the file

Cells of text files stay text until a column is used, so that a sentence about a bad cell can quote
it. Rows are numbered as an editor or a spreadsheet numbers them.
"""

import codecs
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import UserError, did_you_mean, strip_control_chars
from reports.latest_rows import latest_rows
from reports.scaling.numerals import numbers
from reports.scaling.read_json import is_json, read_json
from reports.scaling.text_records import SEPARATORS, records

BUCKETS = ("s3://", "gs://")
OTHERS = {
    b"PK\x03\x04": "a spreadsheet or an archive",
    b"\x1f\x8b": "compressed",
    b"%PDF": "a PDF",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet",
}
"""First bytes of files that are not text → what they are."""
ALLOWED = "a table is a CSV, TSV, JSON or Parquet file, or a store"


class HasPandas(Protocol):
    """A table of another library, such as polars or Arrow."""

    def to_pandas(self) -> pd.DataFrame: ...


Source = str | Path | Mapping[str, Any] | Sequence[Mapping[str, Any]] | HasPandas | pd.DataFrame
"""A path or address, columns, records, or a table of a library."""


@dataclass(frozen=True)
class Table:
    """Columns by name, each with a cell for each row.

    name: how sentences call the table. rows: the name of each row: its line in a text file, its
    number, counted from 1, in a Parquet file or store, or its index in a data frame. twice: names
    that several columns have. is_store: the columns are those of docs/columns.md. problems: a
    sentence about each file of a store that cannot be read.
    """

    name: str
    columns: dict[str, list[Any]]
    rows: list[Any]
    twice: frozenset[str] = frozenset()
    is_store: bool = False
    problems: tuple[str, ...] = ()


def read_table(source: Source) -> Table:
    """Return the table at a path or address, or that of a data frame, columns or records.

    Of a store: the newest row of each finished trial. Raise UserError for what is no table, with
    the row where that shows.
    """
    if not isinstance(source, str | Path):
        return _of_frame("the table", _frame(source), row_names=True)
    if isinstance(source, str) and source.startswith(BUCKETS) or Path(source).is_dir():
        return _of_store(str(source))

    path = Path(source)
    name = f"the table '{path.name}'"
    content = _bytes(path, name)
    if content.startswith(b"PAR1"):
        return _of_parquet(content, name)
    return _of_text(_decoded(content, name), name)


def tidy_name(name: str) -> str:
    """Return a column's name on one line, without characters that no chart can show."""
    return " ".join(strip_control_chars(name).split())


def _bytes(path: Path, name: str) -> bytes:
    """Return what a file holds. Raise UserError when it is not there or is of another kind."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        near = path.parent.iterdir() if path.parent.is_dir() else ()
        hint = did_you_mean(path.name, (other.name for other in near))
        raise UserError(f"there is no table '{path}'; {ALLOWED}{hint}") from None
    except OSError as e:
        raise UserError(f"{name} cannot be read: {e.strerror}") from None

    for beginning, kind in OTHERS.items():
        if content.startswith(beginning):
            raise UserError(f"{name} is {kind}, not text; {ALLOWED}")
    if not content.strip():
        raise UserError(f"{name} is empty")
    return content


def _decoded(content: bytes, name: str) -> str:
    """Return the text of UTF-8, or of UTF-16 that says so, as spreadsheets write it."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in content:
        raise UserError(f"{name} is not text; {ALLOWED}")
    else:
        encoding = "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as e:
        row = content.count(b"\n", 0, e.start) + 1
        raise UserError(
            f"{name}, row {row}: not in UTF-8 from byte {e.start + 1} on; save the table as UTF-8"
        ) from None


def _of_text(text: str, name: str) -> Table:
    """Return the table of a text with a header, or of JSON."""
    if is_json(text):
        found, rows = read_json(text, name)
        names = list(dict.fromkeys(key for record in found for key in record))
        columns = {tidy_name(key): [record.get(key) for record in found] for key in names}
        return _with_rows(Table(name, columns, rows))

    found = records(text, name)
    (_, header), *body = found.rows
    header = [tidy_name(cell) for cell in header]
    if not isinstance(numbers(header), tuple):
        raise UserError(f"{name}, row 1: holds numbers; write the names of the columns there")
    for row, record in body:
        if len(record) != len(header):
            raise UserError(
                f"{name}, row {row}: {len(record)} cells, but the header names {len(header)}"
                f" columns; cells are parted by {SEPARATORS[found.separator]}"
            )

    rows = [row for row, _ in body]
    twice = frozenset(cell for cell, times in Counter(header).items() if times > 1)
    columns = {
        cell: [record[place] for _, record in body] for place, cell in enumerate(header) if cell
    }
    return _with_rows(Table(name, columns, rows, twice))


def _of_parquet(content: bytes, name: str) -> Table:
    try:
        read = pq.read_table(pa.BufferReader(content))
        frame = read.to_pandas(ignore_metadata=True)
    except (pa.ArrowException, ValueError) as e:
        problem = str(e).splitlines()[0][:120]
        raise UserError(f"{name} is damaged or no Parquet file: {problem}") from None
    return _of_frame(name, frame)


def _of_store(place: str) -> Table:
    """Return the newest rows of a store's finished trials, with their configurations' fields."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = latest_rows(place)
    table = _of_frame(f"the store '{place}'", rows[rows["status"].eq("ok")])
    problems = tuple(str(warning.message) for warning in caught)
    return replace(table, is_store=True, problems=problems)


def _frame(source: Mapping | Sequence | HasPandas | pd.DataFrame) -> pd.DataFrame:
    """Return a data frame of columns, of records, or of what can become one, such as a table of
    polars or Arrow. Raise UserError for anything else."""
    if not isinstance(source, Mapping | Sequence | pd.DataFrame) and hasattr(source, "to_pandas"):
        source = source.to_pandas()
    try:
        if not isinstance(source, pd.DataFrame | Mapping | list):
            raise ValueError(f"a {type(source).__name__} has no columns")
        frame = pd.DataFrame(source)
    except ValueError as e:
        raise UserError(f"the table is none: {e}") from None
    sizes = [name for name in frame.index.names if name is not None and name not in frame.columns]
    return frame.reset_index(level=sizes) if sizes else frame


def _of_frame(name: str, frame: pd.DataFrame, row_names: bool = False) -> Table:
    names = [
        tidy_name(
            ".".join(filter(None, map(str, column))) if isinstance(column, tuple) else str(column)
        )
        for column in frame.columns
    ]
    twice = frozenset(cell for cell, times in Counter(names).items() if times > 1)
    columns = {cell: frame.iloc[:, place].tolist() for place, cell in enumerate(names)}
    rows = list(frame.index) if row_names else list(range(1, len(frame) + 1))
    return _with_rows(Table(name, columns, rows, twice))


def _with_rows(table: Table) -> Table:
    """Return the table. Raise UserError when it has no rows."""
    if not table.rows:
        raise UserError(f"{table.name} has columns but no rows")
    return table
