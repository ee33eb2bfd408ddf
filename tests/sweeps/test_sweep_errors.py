"""Every malformed sweep file is refused with one sentence that names file, line and remedy,
before anything starts.

Run alone: python -m pytest tests/sweeps/test_sweep_errors.py
"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.sweeps.shipped import SHIPPED
from harness.sweeps.sweep import load_sweep, parse_sweep
from tests.sweeps import malformed_documents, malformed_fields, malformed_lists
from tests.sweeps.malformed import Bad

BAD = {
    **malformed_fields.UNKNOWN_NAMES,
    **malformed_fields.WRONG_TYPES,
    **malformed_fields.OUT_OF_RANGE,
    **malformed_lists.EMPTY_OR_REPEATED,
    **malformed_lists.SEEDS,
    **malformed_lists.GENERATORS,
    **malformed_lists.RULES_ACROSS_FIELDS,
    **malformed_documents.NOT_PLAIN_DATA,
    **malformed_documents.NOT_A_MAPPING,
}


@pytest.mark.slow
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
    shipped = [path.stem for path in SHIPPED.glob("*.yaml")]
    assert message.startswith("there is no sweep file ")
    assert len(message) < 200 + len(", ".join(shipped))
    assert all(name in message for name in shipped)
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


DAMAGE = st.lists(st.tuples(st.integers(0, len(VALID)), st.sampled_from(PIECES)), max_size=5)
"""Places, and what is put there."""


@pytest.mark.slow
@settings(derandomize=True, max_examples=150, deadline=None)
@given(DAMAGE)
def test_damage_gives_a_sweep_or_sentences(damage: list[tuple[int, str]]):
    parse_damaged(damage)


@pytest.mark.soak
@settings(max_examples=3000, deadline=None)
@given(DAMAGE)
def test_any_damage_gives_a_sweep_or_sentences(damage: list[tuple[int, str]]):
    parse_damaged(damage)


def parse_damaged(damage: list[tuple[int, str]]) -> None:
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


@pytest.mark.slow
@pytest.mark.parametrize("case", THROUGH_THE_COMMAND)
def test_command_prints_one_sentence_and_starts_nothing(unilaw_here, tmp_path: Path, case: str):
    (tmp_path / "bad.yaml").write_text(BAD[case].text)
    done = unilaw_here("run", "bad.yaml", "--store", "rows", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"unilaw: bad.yaml:{BAD[case].line}: ")
    assert all(fragment in done.stderr for fragment in BAD[case].fragments)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.yaml"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("store", "reason"),
    [
        ("taken", "is a file; it must be a folder"),
        ("taken/rows", "cannot be read: Not a directory"),
    ],
)
def test_command_refuses_an_impossible_store(unilaw_here, tmp_path: Path, store: str, reason: str):
    (tmp_path / "good.yaml").write_text("name: a\nseeds: [0]\ntasks:\n  - task: sphere\n")
    (tmp_path / "taken").write_text("somebody's notes")
    done = unilaw_here("run", "good.yaml", "--store", store, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"unilaw: the store '{store}' {reason}")
    (tmp_path / "named.yaml").write_text(
        f"name: a\nseeds: [0]\nstore: {store}\ntasks:\n  - task: sphere\n"
    )
    named = unilaw_here("run", "named.yaml", cwd=tmp_path)
    assert (
        named.returncode,
        named.stderr.startswith(f"unilaw: named.yaml:3: the store '{store}' {reason}"),
    ) == (2, True), named.stderr
    assert (tmp_path / "taken").read_text() == "somebody's notes"
