"""The sweep file's JSON Schema, for editors: the file's own keys, and every known task's fields
with their bounds.

unilaw schema > sweep.schema.json
# then, first line of a sweep file:  # yaml-language-server: $schema=sweep.schema.json
"""

from typing import Any

from harness.sweeps.registry import TaskRef, installed, load
from harness.sweeps.sweep_file import SweepFile, TaskEntry


def sweep_schema(from_file: dict[str, TaskRef]) -> dict[str, Any]:
    """Draft 2020-12 schema of a sweep file over the installed tasks and those `from_file`."""
    schema = SweepFile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "unilaw sweep"
    refs = {**{name: TaskRef(name) for name in installed()}, **from_file}
    generated = [
        _generator("geomspace", "[start, stop (included), count]", 3, 3),
        _generator("range", "[start, stop (not included), step]", 2, 3),
    ]
    whole = {
        "type": "array",
        "items": {"type": "integer", "minimum": 0},
        "minItems": 1,
        "uniqueItems": True,
    }
    seeds = {"anyOf": [whole, *generated]}
    schema["properties"]["seeds"] = {
        "description": SweepFile.model_fields["seeds"].description,
        **seeds,
    }
    schema["properties"]["tasks"]["items"] = {
        "oneOf": [_entry(ref, generated, seeds) for _, ref in sorted(refs.items())]
    }
    schema.get("$defs", {}).pop("TaskEntry", None)
    return schema


def _entry(ref: TaskRef, generated: list[dict[str, Any]], seeds: dict[str, Any]) -> dict[str, Any]:
    task = load(ref)
    fields = task.Config.model_json_schema()["properties"]
    fixed = {
        name: {k: v for k, v in f.items() if k not in ("size", "source")}
        for name, f in fields.items()
    }
    grid = {
        name: {
            "description": f.get("description", ""),
            "anyOf": [
                {"type": "array", "items": f, "minItems": 1, "uniqueItems": True},
                *generated,
            ],
        }
        for name, f in fixed.items()
    }
    return {
        "type": "object",
        "description": (task.__doc__ or "").strip(),
        "properties": {
            "task": {"const": ref.name},
            "seeds": {"description": TaskEntry.model_fields["seeds"].description, **seeds},
            "fixed": {"type": "object", "properties": fixed, "additionalProperties": False},
            "grid": {"type": "object", "properties": grid, "additionalProperties": False},
        },
        "required": ["task"],
        "additionalProperties": False,
    }


def _generator(name: str, meaning: str, shortest: int, longest: int) -> dict[str, Any]:
    numbers = {
        "type": "array",
        "items": {"type": "number"},
        "minItems": shortest,
        "maxItems": longest,
        "description": meaning,
    }
    return {
        "type": "object",
        "properties": {name: numbers},
        "required": [name],
        "additionalProperties": False,
    }
