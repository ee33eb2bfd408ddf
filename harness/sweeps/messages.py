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
    "literal_error": "{expected}",
}


def show(value: Any) -> str:
    """A value as it may stand in a sentence: short, on one line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def complain(
    error: ValidationError, document: Document, model: type[BaseModel], at: Path_ = ()
) -> UserError:
    """All of `error`'s findings, a sentence a line, each with file:line. `at` is where `model`
    was read."""
    return UserError("\n".join(_sentence(e, document, model, at) for e in error.errors()))


def _sentence(e: ErrorDetails, document: Document, model: type[BaseModel], at: Path_) -> str:
    path = (*at, *e["loc"])
    name = dotted(path)
    if e["type"] == "extra_forbidden":
        return unknown_key(path, keys_at(model, e["loc"][:-1]), document)
    if e["type"] == "missing":
        return f"{document.where(path)}: '{name}' is missing"
    context: Mapping[str, Any] = e.get("ctx") or {}
    if e["type"] == "value_error":
        return f"{document.where(path)}: {context['error']}"
    if e["type"] == "string_pattern_mismatch":
        hint = (
            "lower-case letters, digits, '-' and '_', starting with a letter or digit, at most 64"
        )
        return f"{document.where(path)}: '{name}' must be {hint}, not {show(e['input'])}"
    must = _MUST_BE.get(e["type"])
    if must is None:
        return f"{document.where(path)}: '{name}' is wrong: {e['msg']} (given: {show(e['input'])})"
    hint = (
        did_you_mean(str(e["input"]), _choices(model, e["loc"]))
        if e["type"] == "literal_error"
        else ""
    )
    return (
        f"{document.where(path)}: '{name}' must be {must.format(**context)}, not"
        f" {show(e['input'])}{hint}"
    )


def unknown_key(path: Path_, allowed: Iterable[str], document: Document) -> str:
    """The sentence for a key that is not there."""
    allowed = sorted(allowed)
    inside = f" in '{dotted(path[:-1])}'" if path[:-1] else ""
    return (
        f"{document.where(path)}: unknown key {show(path[-1])}{inside}; allowed:"
        f" {', '.join(allowed)}{did_you_mean(str(path[-1]), allowed)}"
    )


def dotted(path: Path_) -> str:
    """`tasks[0].grid.width` for a path."""
    out = ""
    for part in path:
        out += (
            f"[{part}]"
            if isinstance(part, int)
            else f".{str(part)[:60]}"
            if out
            else str(part)[:60]
        )
    return out or "the file"


def keys_at(model: type[BaseModel], loc: Path_) -> list[str]:
    """The keys allowed where `loc` leads, walking nested models."""
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
