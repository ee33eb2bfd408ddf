"""A table in JSON: a record for each line or in a list, or a list of cells for each column.

read_json('{"N": 1e8, "eval": {"loss": 3.1}}\\n', "the table")     # columns N and eval.loss
"""

import json
from typing import Any

from harness.errors import UserError

MEANT = "a table in JSON is a record a line, a list of records, or a list of cells for each column"


def is_json(text: str) -> bool:
    """Return whether a text begins like JSON."""
    return text.lstrip().startswith(("{", "[{", "[\n", "[ "))


def read_json(text: str, name: str) -> tuple[list[dict[str, Any]], list[int]]:
    """Return records, their nested fields under names with dots, and the number of each one's row.
    Raise UserError for what is no JSON, or no table."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as e:
        found = _lines(text, name) if text.lstrip().startswith("{") else None
        if found is None:
            raise UserError(f"{name}, row {e.lineno}: not JSON: {e.msg}") from None
        records, rows = found
    else:
        records = _columns(whole, name) if isinstance(whole, dict) else whole
        rows = list(range(1, len(records) + 1))

    for row, record in zip(rows, records, strict=True):
        if not isinstance(record, dict):
            raise UserError(f"{name}, row {row}: is no record; {MEANT}")
    return [_flat(record) for record in records], rows


def _lines(text: str, name: str) -> tuple[list[Any], list[int]]:
    """Return the record of each line that is not blank."""
    records, rows = [], []
    for row, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as e:
            raise UserError(f"{name}, row {row}: not JSON: {e.msg}; {MEANT}") from None
        rows.append(row)
    return records, rows


def _columns(whole: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the records of columns, or the one record that there is."""
    if not any(isinstance(cells, list) for cells in whole.values()):
        # What pandas writes: a column's cells by the names of rows.
        if whole and all(isinstance(cells, dict) for cells in whole.values()):
            whole = {column: list(cells.values()) for column, cells in whole.items()}
        else:
            return [whole]
    lengths = {len(cells) if isinstance(cells, list) else 0 for cells in whole.values()}
    if len(lengths) > 1:
        raise UserError(f"{name}: its columns differ in length; {MEANT}")
    return [dict(zip(whole, cells, strict=True)) for cells in zip(*whole.values(), strict=True)]


def _flat(record: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Return the fields of a record, those of a record within it as `outer.inner`."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = value
    return flat
