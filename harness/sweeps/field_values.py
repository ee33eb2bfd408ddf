"""The values that a sweep file gives to one field: a single value, a list, or the points of a
geomspace or a range. Each is checked against the field's type and bounds."""

from typing import Any

import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

from harness.errors import UserError, did_you_mean
from harness.sweeps.messages import complain, dotted, show, unknown_key
from harness.sweeps.yaml_lines import Document, Path_

MAX_GRID_POINTS = 1_000_000
GENERATORS = ("geomspace", "range")
LARGEST_ARGUMENT = 1e18
"""Generators' arguments are below this in absolute value."""


def check_value(value: Any, adapter: TypeAdapter[Any], path: Path_, document: Document) -> Any:
    """Return the value in the type of its field.

    Raises UserError, with the line and what is allowed, when the field cannot have the value.
    """
    try:
        return adapter.validate_python(value)
    except ValidationError as e:
        choices = adapter.json_schema().get("enum", [])
        error = complain(e, document, BaseModel, path)
        raise UserError(f"{error}{did_you_mean(str(value), map(str, choices))}") from None


def check_values(
    spec: Any, adapter: TypeAdapter[Any], path: Path_, document: Document
) -> list[Any]:
    """Return the values of a list or of a generator.

    Raises UserError, with the line, when the specification is neither, is empty, or holds a value
    that is wrong or repeated.
    """
    here = document.where(path)
    name = dotted(path)
    if isinstance(spec, list):
        values = spec
        paths = [(*path, i) for i in range(len(spec))]
    elif isinstance(spec, dict):
        values = _generate(spec, adapter, path, document)
        paths = [path] * len(values)
    else:
        raise UserError(
            f"{here}: '{name}' must be a list, {{geomspace: [start, stop, count]}} or {{range:"
            f" [start, stop, step]}}, not {show(spec)}"
        )
    if not values:
        raise UserError(f"{here}: '{name}' is empty; a grid needs at least one value")

    checked = [check_value(v, adapter, p, document) for v, p in zip(values, paths, strict=True)]
    if isinstance(spec, list):
        _refuse_repeated(checked, path, document)
    return checked


def _refuse_repeated(values: list[Any], path: Path_, document: Document) -> None:
    seen: set[str] = set()
    for i, value in enumerate(values):
        if repr(value) in seen:
            where = document.where((*path, i))
            raise UserError(f"{where}: '{dotted(path)}' lists {show(value)} twice")
        seen.add(repr(value))


def _generate(
    spec: dict[str, Any], adapter: TypeAdapter[Any], path: Path_, document: Document
) -> list[Any]:
    here = document.where(path)
    name = dotted(path)
    if len(spec) != 1 or next(iter(spec)) not in GENERATORS:
        unknown = next((key for key in spec if key not in GENERATORS), None)
        if unknown is None:
            raise UserError(f"{here}: '{name}' must have exactly one of geomspace and range")
        raise UserError(unknown_key((*path, unknown), GENERATORS, document))

    generator, arguments = next(iter(spec.items()))
    if generator == "range":
        return _range(arguments, f"{here}: '{name}.range'")

    points = _geomspace(arguments, f"{here}: '{name}.geomspace'")
    if adapter.json_schema().get("type") != "integer":
        return points
    descending = points[-1] < points[0]
    return sorted({round(x) for x in points}, reverse=descending)


def _range(arguments: Any, place: str) -> list[int]:
    """Return Python's range of [start, stop, step]; `place` begins the messages."""
    whole_numbers = (
        _are_numbers(arguments)
        and len(arguments) in (2, 3)
        and all(isinstance(a, int) for a in arguments)
        and 0 not in arguments[2:]
    )
    if not whole_numbers:
        raise UserError(
            f"{place} must be whole numbers [start, stop (not included), step],"
            f" not {show(arguments)}"
        )
    points = range(*arguments)
    if len(points) > MAX_GRID_POINTS:
        raise UserError(f"{place} has {len(points)} points; at most {MAX_GRID_POINTS}")
    return list(points)


def _geomspace(arguments: Any, place: str) -> list[float]:
    """Return numpy's geomspace of [start, stop, count]; `place` begins the messages."""
    if not _are_numbers(arguments) or len(arguments) != 3 or not isinstance(arguments[2], int):
        raise UserError(
            f"{place} must be numbers [start, stop (included), count], not {show(arguments)}"
        )
    start, stop, count = arguments
    if start <= 0 or stop <= 0 or not 1 <= count <= MAX_GRID_POINTS:
        raise UserError(
            f"{place} needs start and stop above 0 and a count from 1 to"
            f" {MAX_GRID_POINTS}, not {show(arguments)}"
        )
    return np.geomspace(start, stop, count).tolist()


def _are_numbers(arguments: Any) -> bool:
    return isinstance(arguments, list) and all(
        isinstance(a, int | float) and not isinstance(a, bool) and abs(a) < LARGEST_ARGUMENT
        for a in arguments
    )
