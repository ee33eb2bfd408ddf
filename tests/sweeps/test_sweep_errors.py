"""Every malformed sweep file is refused with one sentence that names file, line and remedy,
before anything starts."""

from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.sweeps.sweep import SHIPPED, load_sweep, parse_sweep


class Bad(NamedTuple):
    """A malformed file, the line that its message must name, and what the message must hold."""

    text: str
    line: int
    fragments: tuple[str, ...]


def bad(text: str, line: int, *fragments: str) -> Bad:
    return Bad(text, line, fragments)


def sphere(rest: str, line: int, *fragments: str) -> Bad:
    """`rest` begins on line 5, below the entry of a sphere task."""
    return Bad("name: a\nseeds: [0]\ntasks:\n  - task: sphere\n    " + rest, line, fragments)


def mnist(rest: str, line: int, *fragments: str) -> Bad:
    """`rest` begins on line 5, below the entry of an mnist task."""
    return Bad("name: a\nseeds: [0]\ntasks:\n  - task: mnist\n    " + rest, line, fragments)


def top(first: str, line: int, *fragments: str) -> Bad:
    """A whole valid file but for its first lines."""
    return Bad(first + "\ntasks:\n  - task: sphere\n", line, fragments)


BILLION_LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

BAD = {
    # Unknown names
    "unknown-task": bad(
        "name: a\nseeds: [0]\ntasks:\n  - task: spheer\n",
        4,
        "unknown task 'spheer'",
        "mnist, pretrained, sphere",
        "did you mean 'sphere'",
    ),
    "unknown-task-far": bad(
        "name: a\nseeds: [0]\ntasks:\n  - task: imagenet\n", 4, "unknown task 'imagenet'"
    ),
    "unknown-fixed-field": sphere(
        "fixed: {widht: 4}", 5, "unknown key 'widht' in 'tasks[0].fixed'", "did you mean 'width'"
    ),
    "unknown-grid-field": sphere(
        "grid:\n      n: [8]\n      dephts: [1]",
        7,
        "'dephts' in 'tasks[0].grid'",
        "did you mean 'depth'",
    ),
    "field-of-another-task": sphere(
        "fixed: {label_flip: 0.1}", 5, "unknown key 'label_flip'", "noise"
    ),
    "unknown-entry-key": sphere(
        "girds: {n: [8]}", 5, "unknown key 'girds' in 'tasks[0]'", "did you mean 'grid'"
    ),
    "unknown-top-key": top(
        "name: a\nseeds: [0]\nstorre: b", 3, "unknown key 'storre'", "did you mean 'store'"
    ),
    "unknown-resource": top(
        "name: a\nseeds: [0]\nresources:\n  cpu: 2",
        4,
        "unknown key 'cpu' in 'resources'",
        "did you mean 'cpus'",
    ),
    "unknown-limit": top(
        "name: a\nseeds: [0]\nlimits: {attempt: 2}",
        3,
        "'attempt' in 'limits'",
        "did you mean 'attempts'",
    ),
    "unknown-choice": sphere(
        "fixed: {stop: nosie}",
        5,
        "'tasks[0].fixed.stop'",
        "'noise'",
        "'nosie'",
        "did you mean 'noise'",
    ),
    "unknown-choice-in-grid": mnist(
        "grid:\n      head:\n        - parity\n        - digit",
        8,
        "'tasks[0].grid.head[1]'",
        "did you mean 'digits'",
    ),
    # Wrong types
    "text-for-int": sphere(
        "fixed: {width: four}", 5, "'tasks[0].fixed.width' must be a whole number, not 'four'"
    ),
    "quoted-int": sphere("fixed: {width: '4'}", 5, "must be a whole number, not '4'"),
    "bool-for-int": sphere("fixed: {width: true}", 5, "must be a whole number, not True"),
    "float-for-int": sphere("fixed: {width: 4.0}", 5, "must be a whole number, not 4.0"),
    "null-for-int": sphere("fixed: {width: null}", 5, "must be a whole number, not None"),
    "list-in-fixed": sphere(
        "fixed: {width: [4, 8]}", 5, "'tasks[0].fixed.width' must be a whole number, not [4, 8]"
    ),
    "mapping-in-fixed": sphere("fixed: {width: {range: [1, 4]}}", 5, "must be a whole number"),
    "text-for-float": sphere(
        "fixed: {lr: fast}", 5, "'tasks[0].fixed.lr' must be a number, not 'fast'"
    ),
    "bool-for-float": sphere("fixed: {lr: true}", 5, "must be a number, not True"),
    "int-for-text": mnist("fixed: {source: 5}", 5, "'tasks[0].fixed.source' must be text, not 5"),
    "float-in-int-grid": sphere(
        "grid:\n      width:\n        - 4\n        - 8.5", 8, "'tasks[0].grid.width[1]'", "not 8.5"
    ),
    "nested-list-in-grid": sphere(
        "grid: {width: [[4, 8]]}", 5, "'tasks[0].grid.width[0]'", "not [4, 8]"
    ),
    "scalar-grid": sphere(
        "grid: {width: 4}", 5, "'tasks[0].grid.width' must be a list", "geomspace", "not 4"
    ),
    "fixed-is-a-list": sphere(
        "fixed: [4]", 5, "'tasks[0].fixed' must be a mapping of keys to values, not [4]"
    ),
    "resources-is-text": top(
        "name: a\nseeds: [0]\nresources: big", 3, "'resources' must be a mapping of keys to values"
    ),
    "cpus-is-text": top(
        "name: a\nseeds: [0]\nresources: {cpus: two}",
        3,
        "'resources.cpus' must be a whole number, not 'two'",
    ),
    "store-is-a-number": top("name: a\nseeds: [0]\nstore: 5", 3, "'store' must be text, not 5"),
    "store-is-empty": top(
        "name: a\nseeds: [0]\nstore: ''", 3, "'store' must be at least 1 character"
    ),
    "store-with-a-nul": top('name: a\nseeds: [0]\nstore: "a\\0b"', 3, "'store'", "character"),
    "yaml-1.1-no": sphere("fixed: {width: no}", 5, "must be a whole number, not 'no'"),
    "yaml-1.1-sexagesimal": sphere("fixed: {width: 1:30}", 5, "must be a whole number, not '1:30'"),
    "yaml-1.1-octal": sphere("fixed: {width: 0o17}", 5, "must be a whole number, not '0o17'"),
    "yaml-1.1-underscore": sphere(
        "fixed: {width: 1_000}", 5, "must be a whole number, not '1_000'"
    ),
    # Out of range
    "below-range": sphere(
        "fixed: {width: 0}", 5, "'tasks[0].fixed.width' must be at least 1, not 0"
    ),
    "above-range": sphere(
        "fixed: {depth: 21}", 5, "'tasks[0].fixed.depth' must be at most 20, not 21"
    ),
    "at-open-bound": sphere(
        "fixed: {lr: 0}", 5, "'tasks[0].fixed.lr' must be greater than 0.0, not 0"
    ),
    "above-float-range": mnist("fixed: {label_flip: 0.51}", 5, "must be at most 0.5, not 0.51"),
    "out-of-range-in-grid": sphere(
        "grid:\n      width: [4, 8,\n              -1]",
        7,
        "'tasks[0].grid.width[2]' must be at least 1, not -1",
    ),
    "generated-out-of-range": sphere(
        "grid: {width: {geomspace: [0.2, 8, 3]}}", 5, "'tasks[0].grid.width'", "at least 1, not 0"
    ),
    "cpus-out-of-range": top(
        "name: a\nseeds: [0]\nresources: {cpus: 0}", 3, "'resources.cpus' must be at least 1, not 0"
    ),
    "gpus-and-a-half": top(
        "name: a\nseeds: [0]\nresources: {gpus: 1.5}",
        3,
        "'resources.gpus' must be auto, a whole number",
    ),
    "six-tenths-of-a-gpu": top(
        "name: a\nseeds: [0]\nresources: {gpus: 0.6}",
        3,
        "'resources.gpus' must be auto, a whole number",
    ),
    "gpus-by-another-word": top(
        "name: a\nseeds: [0]\nresources: {gpus: all}",
        3,
        "'resources.gpus' must be auto, a whole number",
    ),
    "two-gpus-for-one": top(
        "name: a\nseeds: [0]\nresources: {gpus: 2}",
        3,
        "at most 1; only language models train on several",
    ),
    "measure-points-below-zero": top(
        "name: a\nseeds: [0]\nlimits: {measure_points: -1}", 3, "'limits.measure_points'", "not -1"
    ),
    "measure-points-in-parts": top(
        "name: a\nseeds: [0]\nlimits: {measure_points: 2.5}", 3, "must be a whole number, not 2.5"
    ),
    "negative-seed-of-an-entry": sphere("seeds: [0, -1]", 5, "'tasks[0].seeds[1]'", "not -1"),
    "repeated-seed-of-an-entry": sphere("seeds: [3, 3]", 5, "'tasks[0].seeds' lists 3 twice"),
    "no-seeds-of-an-entry": sphere("seeds: []", 5, "'tasks[0].seeds' is empty"),
    "one-seed-of-an-entry": sphere("seeds: 3", 5, "'tasks[0].seeds' must be a list", "not 3"),
    "too-many-seeds-of-an-entry": sphere(
        "seeds: {range: [0, 10001]}", 3, "the cross product is 10001 trials"
    ),
    "limits-out-of-range": top(
        "name: a\nseeds: [0]\nlimits: {seconds_per_trial: 0}", 3, "must be greater than 0.0, not 0"
    ),
    "infinity": sphere(
        "fixed: {lr: .inf}", 5, "'tasks[0].fixed.lr' must be a finite number, not inf"
    ),
    "nan": sphere(
        "grid: {lr: [.nan]}", 5, "'tasks[0].grid.lr[0]' must be a finite number, not nan"
    ),
    "overflow-to-infinity": sphere("fixed: {lr: 1e999}", 5, "must be a finite number, not inf"),
    "huge-integer": sphere(f"fixed: {{width: {'9' * 5000}}}", 5, "number '999999", "is too long"),
    "large-integer": sphere(
        f"fixed: {{width: {'9' * 100}}}",
        5,
        "'tasks[0].fixed.width' must be at most 1000000, not 99999",
    ),
    # Empty and repeated
    "empty-grid-list": sphere("grid: {width: []}", 5, "'tasks[0].grid.width' is empty"),
    "repeated-grid-value": sphere(
        "grid:\n      width:\n        - 4\n        - 8\n        - 4",
        9,
        "'tasks[0].grid.width' lists 4 twice",
    ),
    "repeated-as-int-and-float": sphere("grid: {lr: [1, 1.0]}", 5, "lists 1.0 twice"),
    "fixed-and-grid": sphere(
        "fixed: {n: 8}\n    grid: {n: [16]}", 6, "'n' stands in both fixed and grid of tasks[0]"
    ),
    "duplicate-top-key": top("name: a\nseeds: [0]\nname: b", 3, "'name' stands twice", "line 1"),
    "duplicate-field": sphere(
        "fixed:\n      n: 8\n      d: 4\n      n: 9", 8, "'n' stands twice", "line 6"
    ),
    "no-name": top("seeds: [0]", 1, "'name' is missing"),
    "no-seeds": top("name: a", 1, "'seeds' is missing"),
    "no-tasks": bad("name: a\nseeds: [0]\n", 1, "'tasks' is missing"),
    "tasks-empty": bad(
        "name: a\nseeds: [0]\ntasks: []\n", 3, "'tasks' must be a list with at least 1 entry"
    ),
    "tasks-null": bad("name: a\nseeds: [0]\ntasks:\n", 3, "'tasks' must be a list, not None"),
    "task-entry-is-text": bad(
        "name: a\nseeds: [0]\ntasks:\n  - sphere\n",
        4,
        "'tasks[0]' must be a mapping of keys to values, not 'sphere'",
    ),
    "task-name-missing": bad(
        "name: a\nseeds: [0]\ntasks:\n  - fixed: {n: 8}\n", 4, "'tasks[0].task' is missing"
    ),
    "bad-name": top("name: A B\nseeds: [0]", 1, "'name' must be lower-case letters", "'A B'"),
    "name-is-a-path": top("name: ../../etc\nseeds: [0]", 1, "'name' must be lower-case letters"),
    "name-is-a-number": top("name: 7\nseeds: [0]", 1, "'name' must be text, not 7"),
    "name-too-long": top(f"name: {'a' * 65}\nseeds: [0]", 1, "at most 64"),
    "too-many-trials": sphere(
        "grid: {width: {range: [1, 5002]}, depth: [1, 2]}",
        3,
        "10002 trials",
        "limits.trials is 10000",
    ),
    "too-many-trials-for-limit": bad(
        "name: a\nseeds: [0, 1]\nlimits: {trials: 3}\ntasks:\n  - task: sphere\n    grid: {n: [8,"
        " 9]}\n",
        4,
        "4 trials",
        "limits.trials is 3",
    ),
    # Seeds
    "seeds-empty": top("name: a\nseeds: []", 2, "'seeds' is empty"),
    "seeds-negative": top("name: a\nseeds: [0, -1]", 2, "'seeds[1]' must be at least 0, not -1"),
    "seeds-text": top("name: a\nseeds: [zero]", 2, "'seeds[0]' must be a whole number, not 'zero'"),
    "seeds-float": top("name: a\nseeds: [0.5]", 2, "'seeds[0]' must be a whole number, not 0.5"),
    "seeds-repeated": top("name: a\nseeds:\n  - 3\n  - 3", 4, "'seeds' lists 3 twice"),
    "seeds-scalar": top("name: a\nseeds: 3", 2, "'seeds' must be a list", "not 3"),
    "seeds-too-large": top(f"name: a\nseeds: [{2**63}]", 2, "'seeds[0]' must be less than"),
    # Generators
    "unknown-generator": sphere(
        "grid:\n      width:\n        geomspce: [4, 8, 2]",
        7,
        "unknown key 'geomspce'",
        "did you mean 'geomspace'",
    ),
    "two-generators": sphere(
        "grid:\n      width: {geomspace: [4, 8, 2], range: [1, 4]}",
        6,
        "exactly one of geomspace and range",
    ),
    "no-generator": sphere("grid: {width: {}}", 5, "exactly one of geomspace and range"),
    "geomspace-arity": sphere(
        "grid: {width: {geomspace: [4, 8]}}",
        5,
        "'tasks[0].grid.width.geomspace'",
        "[start, stop (included), count]",
    ),
    "geomspace-text": sphere(
        "grid: {width: {geomspace: [4, eight, 2]}}", 5, "must be numbers", "'eight'"
    ),
    "geomspace-scalar": sphere("grid: {width: {geomspace: 4}}", 5, "must be numbers", "not 4"),
    "geomspace-float-count": sphere(
        "grid: {width: {geomspace: [4, 8, 2.5]}}", 5, "must be numbers", "2.5"
    ),
    "geomspace-bool": sphere(
        "grid: {width: {geomspace: [4, 8, true]}}", 5, "must be numbers", "True"
    ),
    "geomspace-zero-start": sphere(
        "grid: {width: {geomspace: [0, 8, 2]}}", 5, "start and stop above 0"
    ),
    "geomspace-negative": sphere(
        "grid: {lr: {geomspace: [0.1, -0.1, 2]}}", 5, "start and stop above 0"
    ),
    "geomspace-count-zero": sphere("grid: {width: {geomspace: [4, 8, 0]}}", 5, "a count from 1"),
    "geomspace-count-huge": sphere(
        "grid: {lr: {geomspace: [0.1, 1, 999999999999]}}", 5, "a count from 1 to 1000000"
    ),
    "geomspace-infinite": sphere("grid: {lr: {geomspace: [0.1, .inf, 3]}}", 5, "must be numbers"),
    "geomspace-nan": sphere("grid: {lr: {geomspace: [.nan, 1, 3]}}", 5, "must be numbers"),
    "range-step-zero": sphere(
        "grid: {width: {range: [1, 8, 0]}}", 5, "'tasks[0].grid.width.range' must be whole numbers"
    ),
    "range-floats": sphere(
        "grid: {width: {range: [1, 8, 0.5]}}", 5, "must be whole numbers", "0.5"
    ),
    "range-arity": sphere("grid: {width: {range: [8]}}", 5, "must be whole numbers"),
    "range-empty": sphere("grid: {width: {range: [8, 8]}}", 5, "'tasks[0].grid.width' is empty"),
    "range-huge": sphere("grid: {width: {range: [0, 100000000000]}}", 5, "has 100000000000 points"),
    # Rules across fields
    "flip-with-digits": mnist(
        "fixed: {head: digits, label_flip: 0.1}",
        4,
        "'label_flip' belongs to head 'parity'",
        "label_resample",
    ),
    "resample-with-parity": mnist(
        "fixed: {label_resample: 0.1}", 4, "'label_resample' belongs to head 'digits'"
    ),
    "noise-stop-without-noise": mnist(
        "fixed: {stop: noise}", 4, "stop 'noise' needs injected noise"
    ),
    "too-many-for-5k": mnist(
        "fixed: {n: 4001, stop: epochs}", 4, "has 4000 training digits and n is 4001", "'hub'"
    ),
    "capacity-with-mlp": mnist(
        "fixed: {stop: epochs, model: mlp, capacity: 2}",
        4,
        "capacity cannot be set for model 'mlp'",
    ),
    "width-with-cnn": mnist(
        "fixed: {stop: epochs, model: cnn, width: 2}", 4, "width cannot be set for model 'cnn'"
    ),
    "second-entry": mnist(
        "fixed: {label_flip: 0.1}\n  - task: mnist\n    fixed: {head: digits, label_flip: 0.1}",
        6,
        "'label_flip' belongs to head 'parity'",
    ),
    "unknown-source": mnist(
        "fixed:\n      stop: epochs\n      source: mnist-50k",
        7,
        "'source' must be",
        "'mnist-50k'",
        "did you mean 'mnist-5k'",
    ),
    "idx-without-path": mnist(
        "fixed:\n      stop: epochs\n      source: 'idx:'", 7, "'source' must be", "idx:PATH"
    ),
    "idx-path-missing": mnist(
        "fixed:\n      stop: epochs\n      source: idx:no/such/folder",
        7,
        "'idx:no/such/folder' is not a folder",
    ),
    # Not plain data
    "alias": sphere(
        "fixed: &f {n: 8}\n  - task: sphere\n    fixed: *f",
        5,
        "anchors and aliases are not allowed",
    ),
    "undefined-alias": sphere("fixed: *f", 5, "anchors and aliases are not allowed"),
    "anchor-on-mapping": bad(
        "name: a\nseeds: [0]\ntasks: &t\n  - task: sphere\n",
        3,
        "anchors and aliases are not allowed",
    ),
    "anchor-on-scalar": top("name: &n a\nseeds: [0]", 1, "anchors and aliases are not allowed"),
    "billion-laughs": bad(BILLION_LAUGHS, 1, "anchors and aliases are not allowed"),
    "merge-key": sphere("fixed: {n: 8}\n    <<: {grid: {}}", 6, "the tag", "merge", "plain data"),
    "python-tag-on-a-key": sphere(
        "fixed: {!!python/name:os.system n: 8}", 5, "the tag", "python/name", "plain data"
    ),
    "python-tag": sphere(
        'fixed: !!python/object/apply:os.system ["touch pwned"]',
        5,
        "the tag",
        "python/object/apply",
        "plain data",
    ),
    "python-name-tag": sphere(
        "fixed: {n: !!python/name:os.system }", 5, "the tag", "is not allowed"
    ),
    "binary-tag": sphere("fixed: {n: !!binary aGk=}", 5, "the tag", "is not allowed"),
    "set-tag": sphere("fixed: !!set {n}", 5, "the tag", "is not allowed"),
    "own-tag": sphere("fixed: {n: !n 8}", 5, "the tag '!n' is not allowed"),
    "key-with-a-line-break": sphere('fixed: {"a\\nb": 8}', 5, r"unknown key 'a\nb'"),
    "key-with-an-escape": top('name: a\nseeds: [0]\n"\\e[2J": 1', 3, r"unknown key '\x1b[2J'"),
    "task-with-an-escape": bad(
        'name: a\nseeds: [0]\ntasks:\n  - task: "\\e[2J"\n', 4, r"unknown task '\x1b[2J'"
    ),
    "key-is-a-list": sphere("fixed: {[n]: 8}", 5, "a key must be a plain word"),
    # Not YAML, or not a mapping
    "bad-indent": bad("name: a\n seeds: [0]\n", 2, "is not valid YAML"),
    "unclosed-bracket": bad(
        "name: a\nseeds: [0\ntasks:\n  - task: sphere\n", 3, "is not valid YAML"
    ),
    "unclosed-quote": bad("name: 'a\nseeds: [0]\n", 3, "is not valid YAML"),
    "tab": bad("name: a\nseeds:\n\t- 0\n", 3, "is not valid YAML", r"'\t'"),
    "two-documents": bad("name: a\nseeds: [0]\n---\nname: b\n", 3, "single document"),
    "empty": bad("", 1, "is empty"),
    "only-comments": bad("# nothing\n\n# here\n", 1, "is empty"),
    "null": bad("~\n", 1, "a sweep file is a mapping with name, seeds and tasks"),
    "top-level-list": bad("- name: a\n", 1, "a sweep file is a mapping with name, seeds and tasks"),
    "top-level-text": bad(
        "sphere\n", 1, "a sweep file is a mapping with name, seeds and tasks", "'sphere'"
    ),
    "control-character": bad("name: a\nseeds: [0]\n# \x07\n", 3, "forbids", "U+0007"),
    "nul-character": bad("name: a\x00\n", 1, "forbids", "U+0000"),
    "impossible-escape": bad('name: "\\UFFFFFFFF"\n', 1, "is not valid YAML", "escape"),
    "deep-lists": bad("name: a\nseeds:\n  " + "[" * 5000, 3, "nested more than 20 levels deep"),
    "deep-mappings": bad("name: a\nseeds: " + "{a: " * 5000, 2, "nested more than 20 levels deep"),
    "deep-blocks": bad(
        "".join(" " * i + "a:\n" for i in range(200)), 21, "nested more than 20 levels deep"
    ),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_refused_with_one_sentence(case: Bad):
    with pytest.raises(UserError) as refused:
        parse_sweep(case.text, "sweep.yaml")
    message = str(refused.value)
    assert message.startswith(f"sweep.yaml:{case.line}: ")
    assert message.isprintable(), "one line"
    assert len(message) < 500
    for fragment in case.fragments:
        assert fragment in message


def test_every_mistake_is_named_at_once():
    with pytest.raises(UserError) as refused:
        parse_sweep("name: A\nseeds: [0]\nlimits: {attempts: 0, trial: 5}\ntasks: []\n", "s.yaml")
    assert [line.split(": ")[0] for line in str(refused.value).splitlines()] == [
        "s.yaml:1",
        "s.yaml:3",
        "s.yaml:3",
        "s.yaml:4",
    ]


@pytest.mark.parametrize(
    ("content", "line", "fragment"),
    [
        (b"name: a\nseeds: [0]\n# caf\xe9\n", ":3", "is not UTF-8 text (byte 0xe9)"),
        (b"\xff\xfen\x00a\x00", ":1", "is not UTF-8 text"),
        (b"#" * 1_000_001, "", "is 1000001 bytes long; a sweep file may have 1000000"),
    ],
    ids=["latin-1", "utf-16", "too-large"],
)
def test_unreadable_bytes(tmp_path: Path, content: bytes, line: str, fragment: str):
    path = tmp_path / "sweep.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as refused:
        load_sweep(str(path))
    assert str(refused.value).startswith(f"{path}{line}: ")
    assert fragment in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "hint"),
    [("quickstrat", "; did you mean 'quickstart'?"), ("no-such-thing", ""), ("a" * 5000, "")],
    ids=["near", "far", "too-long-for-the-file-system"],
)
def test_missing_sweep_names_the_shipped_ones(asked: str, hint: str):
    with pytest.raises(UserError) as refused:
        load_sweep(asked)
    message = str(refused.value)
    assert message.startswith("there is no sweep file ") and len(message) < 500
    assert all(path.stem in message for path in SHIPPED.glob("*.yaml"))
    assert message.endswith(hint) and ("did you mean" in message) == bool(hint)


PIECES = [
    "name: a\n",
    "seeds: ",
    "[0]\n",
    "tasks:\n",
    "  - task: sphere\n",
    "    grid: ",
    "{width: ",
    "[4, 8]",
    "}\n",
    "geomspace: ",
    "!!python/object:os ",
    "!t ",
    "'",
    '"',
    "\\x",
    "\\U0011FFFF",
    "{",
    "}",
    "[",
    "]",
    ": ",
    ",",
    "\n",
    "  ",
    "\t",
    "---\n",
    "...\n",
    "- ",
    "&a ",
    "*a",
    "? ",
    "| ",
    "> ",
    "%YAML 1.2\n",
    "#",
    "<<",
    "=",
    "~",
    "-1",
    "1e400",
    ".nan",
    "\x00",
    "\ufeff",
    "\u2028",
    "é",
]


VALID = (
    "name: a\nseeds: [0, 1]\ntasks:\n  - task: sphere\n    fixed: {d: 4}\n    grid:\n      n:"
    " {range: [8, 10]}\n      width: [2, 4]\n"
)


@settings(derandomize=True, max_examples=500, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(VALID)), st.sampled_from(PIECES)), max_size=5))
def test_any_damage_gives_a_sweep_or_sentences(damage: list[tuple[int, str]]):
    text = VALID
    for position, piece in damage:
        text = text[:position] + piece + text[position:]
    try:
        assert parse_sweep(text, "sweep.yaml").trials
    except UserError as e:
        assert all(line.startswith("sweep.yaml:") for line in str(e).splitlines())


THROUGH_THE_COMMAND = (
    "unknown-fixed-field",
    "python-tag",
    "billion-laughs",
    "deep-lists",
    "too-many-for-5k",
)


@pytest.mark.parametrize("case", THROUGH_THE_COMMAND)
def test_command_prints_one_sentence_and_starts_nothing(unilaw, tmp_path: Path, case: str):
    (tmp_path / "bad.yaml").write_text(BAD[case].text)
    done = unilaw("run", "bad.yaml", "--store", "rows", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"unilaw: bad.yaml:{BAD[case].line}: ")
    assert all(fragment in done.stderr for fragment in BAD[case].fragments)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.yaml"]


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        ("taken", "is a file; it must be a folder"),
        ("taken/rows", "cannot be read: Not a directory"),
    ],
)
def test_command_refuses_an_impossible_store(unilaw, tmp_path: Path, store: str, reason: str):
    (tmp_path / "good.yaml").write_text("name: a\nseeds: [0]\ntasks:\n  - task: sphere\n")
    (tmp_path / "taken").write_text("somebody's notes")
    done = unilaw("run", "good.yaml", "--store", store, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"unilaw: the store '{store}' {reason}")
    (tmp_path / "named.yaml").write_text(
        f"name: a\nseeds: [0]\nstore: {store}\ntasks:\n  - task: sphere\n"
    )
    named = unilaw("run", "named.yaml", cwd=tmp_path)
    assert (
        named.returncode,
        named.stderr.startswith(f"unilaw: named.yaml:3: the store '{store}' {reason}"),
    ) == (2, True), named.stderr
    assert (tmp_path / "taken").read_text() == "somebody's notes"
