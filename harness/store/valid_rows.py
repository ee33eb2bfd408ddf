"""Which rows a run can have written. A store may come from anybody, and may have been changed by
anything.

    faults = faults_of(table)      # {7: "p is -5; allowed: 0 or more"}, by position in the table

Every command reads rows through this one check, so that nothing behind it meets a row without a
family, an accuracy of 5, or a configuration that is no JSON.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.errors import FAILURE_KINDS
from harness.store.column import F64, FLOATS, TIME, Column
from harness.store.schema import COLUMNS, SCHEMA_VERSION, Columns, arrow_schema
from harness.store.small_json import Damaged, read_json

STOP_RULES = ("noise", "interpolate", "epochs")
STOP_REASONS = ("below_noise", "interpolated", "epoch_cap", "not_trained")

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""Times of a row lie between these two. Clocks may be wrong, but not by centuries."""

SHARES = ("share", "probability")
"""Units of numbers between 0 and 1."""

ROUNDING = 1e-6
"""By which a share may be off, as sums of floats are."""

AMOUNTS = ("s", "FLOP", "GPUs")
"""Units of floats that are 0 or more. Whole numbers with a unit are counts, and are so too."""

OF_OK_ROWS = ("family", "p", "outputs", "stop_rule", "stop_reason")
"""Columns in which a trial that succeeded always has a value."""

JSON_OBJECTS = ("config_json", "settings_json", "environment_json")
"""Columns that hold a JSON object each."""


def _limits(column: Column) -> tuple[int, int | None] | None:
    """Return the least and the greatest number that a column may hold, by its unit; None where any
    number will do."""
    if column.name == "schema_version":
        return 1, SCHEMA_VERSION
    if column.name == "attempt":
        return 1, None
    if column.unit in SHARES and column.type in (F64, FLOATS):
        return 0, 1
    is_count = bool(column.unit) and pa.types.is_integer(column.type)
    return (0, None) if is_count or column.unit in AMOUNTS else None


LIMITS = {column.name: limits for column in COLUMNS if (limits := _limits(column))}
"""The least and the greatest number, or None, of the columns that have such limits."""

TIMES = tuple(column.name for column in COLUMNS if column.type == TIME)
REQUIRED = tuple(column.name for column in COLUMNS if column.required)

CHECKED = frozenset({
    *REQUIRED, *OF_OK_ROWS, *JSON_OBJECTS, *LIMITS, *TIMES, "failure_kind"
})  # fmt: skip
"""The columns that the check reads."""

NAMED = 3
"""Rows of one file that a sentence names; it counts the others."""


class _Check(NamedTuple):
    """One column, and the rows in which it holds what no run writes there."""

    column: str
    wrong: np.ndarray
    """Positions in the table."""
    allowed: str


def faults_of(table: pa.Table) -> dict[int, str]:
    """Return what is wrong with each row that no run can have written, by position. The table must
    have the columns CHECKED; its other columns are not looked at."""
    faults: dict[int, str] = {}
    for check in _checks(table):
        for position in check.wrong.tolist():
            value = _shown(table[check.column][position])
            faults.setdefault(position, f"{check.column} is {value}; allowed: {check.allowed}")
    return faults


def refusals(rows: Sequence[Columns]) -> list[str | None]:
    """Return for each row that a trial has made why no store can take it: the value that its column
    cannot hold, or that no reading would accept; None for a good row."""
    all_can_be_held = _can_be_held(rows)
    return [(None if all_can_be_held else _unheld(row)) or _impossible(row) for row in rows]


def _can_be_held(rows: Sequence[Columns]) -> bool:
    """Return whether a row file can hold all of these values."""
    names = frozenset(arrow_schema().names)
    if not all(names.issuperset(row) for row in rows):  # Arrow would leave such a column out
        return False
    try:
        pa.array(rows, pa.struct(list(arrow_schema())))
    except Exception:  # Arrow raises what a value's own conversion raises, too
        return False
    return True


def _unheld(columns: Columns) -> str | None:
    """Return which value no row file can hold, and why; None when every value can be held."""
    for name, value in columns.items():
        try:
            pa.array([value], arrow_schema().field(name).type)  # KeyError: there is no such column
        except Exception as e:
            plain = isinstance(value, str | int | float)  # others need not have a repr
            shown = repr(value)[:60] if plain else f"a {type(value).__name__}"
            return f"{name} = {shown}: {' '.join(str(e).split())}"
    return None


def _impossible(columns: Columns) -> str | None:
    """Return which value lies outside its column's limits, so that the row would be left out at
    every reading; None when there is none."""
    for name, (least, most) in LIMITS.items():
        value = columns.get(name)
        for number in value if isinstance(value, list) else [value]:
            if not isinstance(number, int | float):
                continue
            if number < least - ROUNDING or (most is not None and number > most + ROUNDING):
                return f"{name} = {number}; allowed: {_range(least, most, str)}"
    return None


def _range(least: int, most: int | None, shown: Callable[[int], str]) -> str:
    return f"{shown(least)} or more" if most is None else f"{shown(least)} to {shown(most)}"


def _shown(value: pa.Scalar) -> str:
    """Return a value for a message."""
    try:
        return repr(value.as_py())[:80]
    except (ValueError, OverflowError):  # a time that Python cannot hold
        return "beyond any calendar"


def named(faults: dict[int, str], table: pa.Table) -> str:
    """Return one sentence that names the first NAMED of these rows."""
    trials = table["trial_id"]
    texts = [
        f"trial {str(trials[position].as_py())[:40]!r} ({faults[position]})"
        for position in sorted(faults)[:NAMED]
    ]
    more = len(faults) - len(texts)
    others = f" and {more} more" if more else ""
    count = "1 row" if len(faults) == 1 else f"{len(faults)} rows"
    return f"holds {count} that no run writes, left out: {', '.join(texts)}{others}"


def _checks(table: pa.Table) -> Iterator[_Check]:
    is_ok = pc.fill_null(_compute("equal", table["status"], "ok"), False)
    is_failed = pc.fill_null(_compute("equal", table["status"], "failed"), False)

    for name in REQUIRED:
        if table[name].null_count:
            yield _Check(name, _true(_compute("is_null", table[name])), "a value in every row")
    yield _one_of(table, "status", ("ok", "failed"))
    yield _one_of(table, "failure_kind", FAILURE_KINDS, among=is_failed)

    for name in OF_OK_ROWS:
        if not table[name].null_count:
            continue
        missing = _compute("and", _compute("is_null", table[name]), is_ok)
        yield _Check(name, _true(missing), "a value in every row that is ok")
    yield _one_of(table, "stop_rule", STOP_RULES, among=is_ok)
    yield _one_of(table, "stop_reason", STOP_REASONS, among=is_ok)

    for name, (least, most) in LIMITS.items():
        yield from _outside(name, table[name], least, most, str)
    for name in TIMES:
        # As whole microseconds: Arrow cannot compare a time that Python cannot hold.
        times = pc.cast(table[name], pa.int64())
        yield from _outside(name, times, _since_1970(EARLIEST), _since_1970(LATEST), _year)
    for name in JSON_OBJECTS:
        yield _Check(name, _no_object(table[name]), "a JSON object")


def _one_of(
    table: pa.Table, name: str, allowed: tuple[str, ...], among: pa.ChunkedArray | None = None
) -> _Check:
    wrong = _compute("invert", _is_in(table[name], allowed))
    if among is not None:
        wrong = _compute("and", wrong, among)
    return _Check(name, _true(wrong), ", ".join(allowed))


def _outside(
    name: str,
    values: pa.ChunkedArray,
    least: int,
    most: int | None,
    shown: Callable[[int], str],
) -> Iterator[_Check]:
    """Check numbers, or lists of them, against limits that `shown` makes text of. NaN and null
    pass: a figure may be missing."""
    is_list = pa.types.is_list(values.type)
    numbers = _compute("list_flatten", values) if is_list else values
    slack = ROUNDING if pa.types.is_floating(numbers.type) else 0
    extremes = _compute("min_max", numbers)
    lowest = extremes["min"].as_py()
    highest = extremes["max"].as_py()
    is_low = lowest is not None and lowest < least - slack
    is_high = highest is not None and most is not None and highest > most + slack
    if not is_low and not is_high:
        return  # as nearly always, and several times faster than to look at each row

    wrong = _compute("less", numbers, least - slack)
    if most is not None:
        wrong = _compute("or", wrong, _compute("greater", numbers, most + slack))

    positions = _true(wrong)
    if is_list:
        rows = _compute("list_parent_indices", values.combine_chunks()).to_numpy()
        positions = np.unique(rows[positions])
    yield _Check(name, positions, _range(least, most, shown))


def _since_1970(time: datetime) -> int:
    """Return a time as Arrow keeps it, in microseconds."""
    return int(time.timestamp() * 1e6)


def _year(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds / 1e6, UTC):%Y}"


def _no_object(texts: pa.ChunkedArray) -> np.ndarray:
    """Return the positions of texts that are no JSON object. Equal texts are parsed once."""
    damaged = [text for text in texts.unique().to_pylist() if text is not None and _bad(text)]
    if not damaged:
        return np.zeros(0, np.int64)
    return _true(_is_in(texts, damaged))


def _bad(text: str) -> bool:
    try:
        read_json(text)
    except Damaged:
        return True
    return False


def _is_in(texts: pa.ChunkedArray, some: Sequence[str]) -> pa.ChunkedArray:
    return _compute("is_in", texts, options=pc.SetLookupOptions(pa.array(some, pa.string())))


def _compute(function: str, *arguments: Any, options: Any = None) -> Any:
    """Call a function of Arrow's by name: type checkers do not find them in pyarrow.compute."""
    return pc.call_function(function, list(arguments), options)


def _true(mask: Any) -> np.ndarray:
    """Return the positions at which a mask is true; null is false."""
    return np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False))
