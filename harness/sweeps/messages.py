"""pydantic's errors as the sentences that unilaw prints: the field, the value, what is allowed,
the line."""

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.errors import UserError, did_you_mean
from harness.sweeps.yaml_lines import Document, Path_

_MUST_BE = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "a list with at least {min_length} entry",
    "too_long": "a list with at most {max_length} entries",
    "string_too_short": "at least {min_length} character long",
    "string_too_long": "at most {max_length} characters long",
    "string_pattern_mismatch": (
        "lower-case letters, digits, '-' and '_', starting with a letter or digit, at most 64"
    ),
    "literal_error": "{expected}",
}
"""What a value must be, by pydantic's type of error; with fields of the error's context."""


def show(value: Any) -> str:
    """Return a value as it may stand in a sentence: short, on one line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def complain(
    error: ValidationError, document: Document, model: type[BaseModel], at: Path_ = ()
) -> UserError:
    """Return all of pydantic's complaints, a sentence a line, each with file:line. `at` is the path
    in the document that `model` was read from."""
    return UserError("\n".join(_sentence(e, document, model, at) for e in error.errors()))


def _sentence(e: ErrorDetails, document: Document, model: type[BaseModel], at: Path_) -> str:
    kind = e["type"]
    path = (*at, *e["loc"])
    where = document.where(path)
    name = dotted(path)
    context: Mapping[str, Any] = e.get("ctx") or {}
    if kind == "extra_forbidden":
        return unknown_key(path, keys_at(model, e["loc"][:-1]), document)
    if kind == "missing":
        return f"{where}: '{name}' is missing"
    if kind == "value_error":
        return f"{where}: {context['error']}"

    must_be = _MUST_BE.get(kind)
    if must_be is None:
        return f"{where}: '{name}' is wrong: {e['msg']} (given: {show(e['input'])})"
    hint = ""
    if kind == "literal_error":
        hint = did_you_mean(str(e["input"]), _choices(model, e["loc"]))
    return f"{where}: '{name}' must be {must_be.format(**context)}, not {show(e['input'])}{hint}"


def unknown_key(path: Path_, allowed: Iterable[str], document: Document) -> str:
    """Return the sentence for a key that is not allowed."""
    allowed = sorted(allowed)
    inside = f" in '{dotted(path[:-1])}'" if path[:-1] else ""
    return (
        f"{document.where(path)}: unknown key {show(path[-1])}{inside}; allowed:"
        f" {', '.join(allowed)}{did_you_mean(str(path[-1]), allowed)}"
    )


def dotted(path: Path_) -> str:
    """Return a path as `tasks[0].grid.width`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f"{'.' if text else ''}{part[:60]}"
    return text or "the file"


def keys_at(model: type[BaseModel], loc: Path_) -> list[str]:
    """Return the keys that the model allows at `loc`, walking nested models."""
    for part in loc:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        inner = [
            a
            for a in (annotation, *get_args(annotation))
            if isinstance(a, type) and issubclass(a, BaseModel)
        ]
        model = inner[0]
    return list(model.model_fields)


def _choices(model: type[BaseModel], loc: Path_) -> list[str]:
    field = model.model_fields.get(str(loc[-1])) if loc else None
    return [str(a) for a in get_args(field.annotation)] if field else []
