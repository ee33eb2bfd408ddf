"""Choose rows by conditions such as `lr=0.001`, `task=mnist,text` or `n<500`.

rows[fitting(rows, [parse("lr=0.001"), parse("n<500")])]

A field is a column of the rows, or a field of the trials' configuration; in a table that no run
wrote, which has no config_json, any column. Several conditions hold together. A row without a value
fits none but `FIELD=none`. A text with commas is one value where the field has that very value, and
several values elsewhere.
"""

import json
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from harness.errors import UserError, did_you_mean
from harness.store.schema import arrow_schema

FORM = "FIELD=VALUE; also !=, <, <=, > and >=, and several values as FIELD=A,B"
NONE = "none"
"""The value that stands for a missing one."""
CONFIGURATION = "config_json"
"""The column that only rows of trials have."""
MOST_SHOWN = 8
"""Values of a field that a message names."""
ORDERED: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
WORDS = {"true": True, "yes": True, "false": False, "no": False}


class Condition(NamedTuple):
    """One condition: `text` is what the user wrote, `whole` what stands after the sign, and
    `values` that text between its commas."""

    text: str
    field: str
    sign: str
    whole: str
    values: tuple[str, ...]


def parse(text: str) -> Condition:
    """Return the condition that a text states. Raise UserError for a text of another form."""
    found = re.fullmatch(r"\s*([^=!<>]*[^=!<>\s])\s*(<=|>=|!=|==|=|<|>)(.*)", text, re.DOTALL)
    if found is None:
        raise UserError(f"--where {_short(text)}: must be {FORM}")
    field, sign, given = found[1], found[2].replace("==", "="), found[3]

    values = tuple(value.strip() for value in given.split(","))
    if not all(values):
        raise UserError(f"--where {_short(text)}: a value is missing after '{sign}'")
    if sign in ORDERED and len(values) > 1:
        raise UserError(f"--where {_short(text)}: '{sign}' takes one value, not {len(values)}")
    return Condition(text.strip(), field, sign, given.strip(), values)


def fitting(rows: pd.DataFrame, conditions: Sequence[Condition]) -> pd.Series:
    """Return which rows fit all conditions. rows: columns of a store, config_json among them, or
    any table.

    Raise UserError for a field that no row has, and for a value that the field cannot have.
    """
    fits = pd.Series(True, index=rows.index)
    for condition in conditions:
        fits &= _fits(_field(rows, condition), condition)
    return fits


def refuse_nothing(rows: pd.DataFrame, conditions: Sequence[Condition]) -> None:
    """Raise UserError that says why none of the rows fits: the first condition that none of them
    fits by itself, with the values that the field has."""
    which = f"none of the {len(rows):,} {'trials' if CONFIGURATION in rows else 'rows'} fits"
    for condition in conditions:
        column = _field(rows, condition)
        if not _fits(column, condition).any():
            raise UserError(
                f"--where {_short(condition.text)}: {which}; '{condition.field}' has"
                f" {_values_of(column)}"
            )
    together = " and ".join(_short(condition.text) for condition in conditions)
    raise UserError(f"--where {together}: {which} them together")


def _field(rows: pd.DataFrame, condition: Condition) -> pd.Series:
    """Return the values of a condition's field, one for each row, None where a row has none."""
    if CONFIGURATION not in rows:
        return _column(rows, condition)
    single = {f.name for f in arrow_schema() if not pa.types.is_nested(f.type)}
    columns = [name for name in rows.columns if name in single]
    if condition.field in columns:
        return rows[condition.field]

    # Seeds of a cell share a text, which is parsed once.
    codes, texts = pd.factorize(rows[CONFIGURATION])
    configs = [json.loads(text) for text in texts]
    fields = sorted({name for config in configs for name in config})
    if condition.field not in fields:
        raise UserError(
            f"--where {_short(condition.text)}: no trial has a field '{condition.field}'; the"
            f" configurations have {', '.join(fields)}, and docs/columns.md lists the columns"
            f"{did_you_mean(condition.field, [*fields, *columns])}"
        )
    found = np.array([_plain(config.get(condition.field)) for config in configs], dtype=object)
    return pd.Series(found[codes], index=rows.index).infer_objects()


def _column(rows: pd.DataFrame, condition: Condition) -> pd.Series:
    """Return a column of a table that no run wrote."""
    if condition.field not in rows:
        columns = [str(name) for name in rows.columns]
        raise UserError(
            f"--where {_short(condition.text)}: there is no column '{condition.field}'; the columns"
            f" are {', '.join(columns)}{did_you_mean(condition.field, columns)}"
        )
    return rows[condition.field]


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


def _fits(column: pd.Series, condition: Condition) -> pd.Series:
    known = column.notna()
    if condition.sign in ORDERED:
        wanted = _value(column, condition.values[0], condition)
        if isinstance(wanted, str | bool):
            raise UserError(
                f"--where {_short(condition.text)}: '{condition.field}' is no number; use = or !="
            )
        fits = pd.Series(False, index=column.index)
        found = ORDERED[condition.sign](column[known].astype(_order(wanted)), wanted)
        fits.loc[known] = found.to_numpy(bool)  # a Series is refused by pandas 2.2
        return fits

    values = condition.values
    if len(values) > 1 and column.eq(condition.whole).any():
        values = (condition.whole,)
    named = [value for value in values if value != NONE]
    wanted = [_value(column, value, condition) for value in named]
    among = column.isin(wanted)
    if NONE in values:
        among |= ~known | column.eq(NONE)
        return among if condition.sign == "=" else ~among
    return among if condition.sign == "=" else ~among & known


def _order(wanted: Any) -> Any:
    return float if isinstance(wanted, float) else object


def _value(column: pd.Series, text: str, condition: Condition) -> Any:
    """Return a value of the condition in the type of the column's values."""
    types = {type(value) for value in column.dropna().unique()[:1000]}
    if types and all(issubclass(kind, bool | np.bool_) for kind in types):
        if text.lower() not in WORDS:
            raise _wrong(condition, text, "true or false")
        return WORDS[text.lower()]
    if types and all(issubclass(kind, pd.Timestamp) for kind in types):
        try:
            return pd.Timestamp(text, tz="UTC")
        except ValueError:
            raise _wrong(condition, text, "a time such as 2026-05-31") from None
    if types and all(issubclass(kind, int | float | np.number) for kind in types):
        try:
            return float(text)
        except ValueError:
            raise _wrong(condition, text, "a number") from None
    return text


def _wrong(condition: Condition, text: str, must_be: str) -> UserError:
    return UserError(
        f"--where {_short(condition.text)}: '{condition.field}' must be {must_be}, not"
        f" {_short(text)}"
    )


def _values_of(column: pd.Series) -> str:
    """Return the field's values in words."""
    values = column.dropna().drop_duplicates()
    if values.empty:
        return "no value in any of them"
    if len(values) <= MOST_SHOWN:
        shown = sorted(values.tolist(), key=lambda value: (isinstance(value, str), value))
        return "the values " + ", ".join(_text(value) for value in shown)
    if pd.api.types.is_numeric_dtype(values):
        return f"{len(values)} values from {values.min():g} to {values.max():g}"
    return f"{len(values)} values such as " + ", ".join(map(_text, values[:MOST_SHOWN]))


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return _short(str(value)) if "," in str(value) else _short(str(value)).strip("'")


def _short(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
