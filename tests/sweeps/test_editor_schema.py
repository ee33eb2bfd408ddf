"""The published JSON Schema of a sweep file: valid itself, and of one mind with the parser.

Run alone: python -m pytest tests/sweeps/test_editor_schema.py
"""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness.errors import UserError
from harness.sweeps.editor_schema import sweep_schema
from harness.sweeps.registry import refs_in
from harness.sweeps.shipped import SHIPPED
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.yaml_lines import parse_document

SCHEMA = sweep_schema({})
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def accepts(text: str) -> bool:
    return VALIDATOR.is_valid(parse_document(text, "s").value)


def parses(text: str) -> bool:
    try:
        return bool(parse_sweep(text, "s"))
    except UserError:
        return False


@pytest.mark.slow
def test_the_schema_is_valid_and_says_which_draft():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda p: p.stem)
def test_accepts_the_shipped_sweeps(path: Path):
    VALIDATOR.validate(parse_document(path.read_text(), path.name).value)


HEAD = "name: a\nseeds: [0]\ntasks:\n  - task: sphere\n    "


@pytest.mark.parametrize(
    "text",
    [
        HEAD,
        HEAD + "fixed: {n: 8, lr: 1e-3, stop: epochs}",
        HEAD + "grid: {n: {range: [8, 10]}, width: {geomspace: [1, 8, 3]}, lr: [0.1, 1]}",
        HEAD + "seeds: {range: [0, 3]}",
        HEAD + "seeds: [5]\nlimits: {measure_points: 0, weights_mb: 0.5}",
        HEAD + "seeds: [5]\nlimits: {measure_points: {stability: 256, training_radius: 0}}",
        (
            "name: a\nseeds: {range: [0, 4, 2]}\nresources: {cpus: 2, gpus: 0.5}\ntasks: [{task:"
            " sphere}]"
        ),
    ],
)
def test_accepts_what_the_parser_accepts(text: str):
    assert accepts(text)
    assert parses(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "seeds: [0]\ntasks: [{task: sphere}]",
        "name: A\nseeds: [0]\ntasks: [{task: sphere}]",
        "name: a\nseeds: []\ntasks: [{task: sphere}]",
        "name: a\nseeds: [0, 0]\ntasks: [{task: sphere}]",
        "name: a\nseeds: [-1]\ntasks: [{task: sphere}]",
        "name: a\nseeds: 3\ntasks: [{task: sphere}]",
        "name: a\nseeds: [0]\ntasks: []",
        "name: a\nseeds: [0]\ntasks: [{task: spheer}]",
        "name: a\nseeds: [0]\ntasks: [{fixed: {n: 8}}]",
        "name: a\nseeds: [0]\ntasks: [{task: sphere}]\nlimits: {attempts: 0}",
        "name: a\nseeds: [0]\ntasks: [{task: sphere}]\nresources: {cpu: 1}",
        "name: a\nseeds: [0]\ntasks: [{task: sphere}]\nstore: ''",
        "- name: a",
        HEAD + "seeds: []",
        HEAD + "seeds: [0, 0]",
        HEAD + "seeds: [-1]",
        HEAD + "seeds: 3",
        HEAD.replace("tasks", "limits: {measure_points: -1}\ntasks"),
        HEAD.replace("tasks", "limits: {measure_points: {stabilty: 9}}\ntasks"),
        HEAD.replace("tasks", "limits: {measure_points: {others: 0}}\ntasks"),
        HEAD + "fixed: {widht: 8}",
        HEAD + "fixed: {width: four}",
        HEAD + "fixed: {width: 0}",
        HEAD + "fixed: {lr: 0}",
        HEAD + "fixed: {stop: nosie}",
        HEAD + "fixed: {width: [4, 8]}",
        HEAD + "grid: {width: []}",
        HEAD + "grid: {width: 4}",
        HEAD + "grid: {width: [4, 4]}",
        HEAD + "grid: {width: [4, x]}",
        HEAD + "grid: {width: {geomspce: [1, 2, 3]}}",
        HEAD + "grid: {width: {geomspace: [1, 2]}}",
        HEAD + "grid: {width: {geomspace: [1, 2, 3], range: [1, 2]}}",
        HEAD + "girds: {}",
    ],
)
def test_rejects_what_the_parser_rejects(text: str):
    assert not accepts(text)
    assert not parses(text)


def test_bounds_and_meanings_of_a_field_are_there():
    sphere = next(
        e
        for e in SCHEMA["properties"]["tasks"]["items"]["oneOf"]
        if e["properties"]["task"]["const"] == "sphere"
    )
    width: dict[str, Any] = sphere["properties"]["fixed"]["properties"]["width"]
    assert (width["type"], width["minimum"], width["maximum"], width["default"]) == (
        "integer",
        1,
        1_000_000,
        64,
    )
    assert width["description"] == "hidden units per layer"


def test_a_task_files_task_is_in(tmp_path: Path):
    path = tmp_path / "toy.py"
    path.write_text(
        "from harness.task import Config, Field, Task\n\n\nclass ToyConfig(Config):\n    spin: int"
        " = Field(3, ge=2, description='turns')\n\n\nclass Toy(Task):\n    name = 'toy'\n    Config"
        " = ToyConfig\n    data = input_shape = model = lambda *_: None\n"
    )
    validator = jsonschema.Draft202012Validator(sweep_schema(refs_in(path)))
    assert validator.is_valid(
        {"name": "a", "seeds": [0], "tasks": [{"task": "toy", "fixed": {"spin": 2}}]}
    )
    assert not validator.is_valid(
        {"name": "a", "seeds": [0], "tasks": [{"task": "toy", "fixed": {"spin": 1}}]}
    )
