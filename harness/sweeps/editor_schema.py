"""The sweep file's JSON Schema, for editors: the file's own keys, and every known task's fields
with their bounds.

unilaw schema > sweep.schema.json
# then, first line of a sweep file:  # yaml-language-server: $schema=sweep.schema.json
"""

from typing import Any

from harness.sweeps.installed import installed
from harness.sweeps.registry import TaskRef, load
from harness.sweeps.sweep_file import SweepFile, TaskEntry


def sweep_schema(from_file: dict[str, TaskRef]) -> dict[str, Any]:
    """Return the draft 2020-12 schema of a sweep file over the installed tasks and those
    `from_file`."""
    refs = {**{name: TaskRef(name) for name in installed()}, **from_file}
    generators = [
        _generator("geomspace", "[start, stop (included), count]", 3, 3),
        _generator("range", "[start, stop (not included), step]", 2, 3),
    ]
    whole_numbers = {
        "type": "array",
        "items": {"type": "integer", "minimum": 0},
        "minItems": 1,
        "uniqueItems": True,
    }
    seeds = {"anyOf": [whole_numbers, *generators]}

    schema = SweepFile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "unilaw sweep"
    schema["properties"]["seeds"] = {
        "description": SweepFile.model_fields["seeds"].description,
        **seeds,
    }
    schema["properties"]["tasks"]["items"] = {
        "oneOf": [_entry(ref, generators, seeds) for _, ref in sorted(refs.items())]
    }
    # every task's own entry stands in its place
    schema.get("$defs", {}).pop("TaskEntry", None)
    return schema


def _entry(ref: TaskRef, generators: list[dict[str, Any]], seeds: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one task's entry: its name, and its fields in `fixed` and in `grid`."""
    task = load(ref)
    fixed: dict[str, Any] = {}
    grid: dict[str, Any] = {}
    for name, field in task.Config.model_json_schema()["properties"].items():
        value = {key: v for key, v in field.items() if key not in ("size", "source")}
        values = {"type": "array", "items": value, "minItems": 1, "uniqueItems": True}
        fixed[name] = value
        grid[name] = {
            "description": value.get("description", ""),
            "anyOf": [values, *generators],
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
    """Return the schema of {name: [numbers]}, from `shortest` to `longest` numbers."""
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
