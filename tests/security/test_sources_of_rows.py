"""`unilaw measure` opens no file outside the store and calls no Hub because a row names it: only
`--read-sources` lets it.

Run alone: python -m pytest tests/security/test_sources_of_rows.py
"""

from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.remeasure import MOST_NAMED, _skipped, _trials
from harness.store.store import Store
from harness.sweeps.registry import TaskRef, load
from harness.sweeps.trial import canonical_json
from harness.task import Config, Source
from harness.terminal.progress import Progress
from reports.evidence import records
from tasks import corpora, digits, model_files, tokenizers
from tasks.sphere import Sphere
from tests.reports.stores import make_store, row

PRIVATE = "my private notes"

NAMES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("text", {"source": "text:PRIVATE", "stop": "epochs"}, ["text:PRIVATE"]),
    ("text", {"source": "hub:a/b", "megabytes": 1, "stop": "epochs"}, ["hub:a/b"]),
    ("text", {"tokenizer": "folder:PRIVATE", "stop": "epochs"}, ["folder:PRIVATE"]),
    ("text-stream", {"source": "jsonl:PRIVATE"}, ["jsonl:PRIVATE"]),
    ("text-stream", {"tokenizer": "hub:gpt2"}, ["hub:gpt2"]),
    ("mnist", {"source": "idx:PRIVATE", "label_flip": 0.1}, ["idx:PRIVATE"]),
    ("mnist", {"source": "hub", "label_flip": 0.1}, ["hub"]),
    ("pretrained", {}, ["hub:openai-community/gpt2"]),
    ("pretrained", {"model": "folder:PRIVATE"}, ["folder:PRIVATE"]),
    (
        "pretrained",
        {"source": "text:PRIVATE", "last_words": "hub:c/d@en#test"},
        ["hub:openai-community/gpt2", "text:PRIVATE", "hub:c/d@en#test"],
    ),
]
"""Task, configuration, and the sources that it leads to."""

INSTALLED = [
    ("sphere", {}),
    ("mnist", {"label_flip": 0.1}),
    ("text", {"tokenizer": "bpe-300", "stop": "epochs"}),
    ("text-stream", {}),
]


def stored(task: str, given: dict[str, Any], k: int) -> dict[str, Any]:
    """Return a row of a trial with kept weights, as anybody can write it."""
    loaded = load(TaskRef(task))
    config = loaded.Config.model_validate(given).plain()
    return row(
        10 + k,
        task=task,
        task_version=loaded.version,
        config_json=canonical_json(config),
        weights_file="_weights/x.safetensors",
    )


@pytest.mark.parametrize(("task", "given", "sources"), NAMES)
def test_a_task_says_what_its_configuration_leads_to(
    task: str, given: dict[str, Any], sources: list[str]
):
    loaded = load(TaskRef(task))
    assert loaded.reads(loaded.Config.model_validate(given)) == sources


@pytest.mark.parametrize(("task", "given"), INSTALLED)
def test_what_is_installed_needs_no_flag(task: str, given: dict[str, Any]):
    loaded = load(TaskRef(task))
    assert loaded.reads(loaded.Config.model_validate(given)) == []


class FromDisk(Config):
    place: str = Source("here", description="a folder")


def test_a_users_own_task_is_asked_too():
    """Its author chose the default; another value may come from anybody."""
    assert Sphere().reads(FromDisk()) == []
    assert Sphere().reads(FromDisk(place="elsewhere")) == ["elsewhere"]


@pytest.fixture
def received(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a store whose every row names a source, in a folder with a private file. Reading
    anything fails the test."""
    (tmp_path / "PRIVATE").write_text(PRIVATE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = [stored(task, given, k) for k, (task, given, _) in enumerate(NAMES)]
    return make_store(tmp_path / "store", rows)


@pytest.mark.slow
def test_without_the_flag_nothing_is_read_and_one_sentence_names_the_sources(
    received: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError(f"read: {arguments}")

    readers = [
        (corpora, "documents"),
        (corpora, "source_identity"),
        (digits, "_from_hub"),
        (digits, "_from_idx"),
        (model_files, "_download"),
        (model_files, "weights_hash"),
        (tokenizers, "_published"),
    ]
    for module, name in readers:
        monkeypatch.setattr(module, name, refuse)

    monkeypatch.setattr("sys.argv", ["unilaw", "measure", "store", "--again", "--inline"])
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 1
    captured = capsys.readouterr()
    assert f"0 measured, {len(NAMES)} not ({len(NAMES)} source)" in captured.out
    (sentence,) = [line for line in captured.err.splitlines() if "--read-sources" in line]
    assert f"{len(NAMES)} trials are skipped because their rows name" in sentence
    assert "'folder:PRIVATE', 'hub:" in sentence and "and 4 more" in sentence
    assert not (received.parent / "cache" / "unilaw" / "corpora").exists()
    assert len(list(received.glob("part-*.parquet"))) == 1, "no row is written"


@pytest.mark.slow
def test_with_the_flag_the_trials_are_measured(received: Path):
    rows = {r["trial_id"]: r for r in records(Store.open(received).read().rows)}
    quiet = Progress()
    assert _trials(rows, {}, False, quiet)[0] == []
    trials, failed = _trials(rows, {}, True, quiet)
    assert len(trials) == len(NAMES) and not failed


def test_a_sources_name_cannot_steer_the_terminal():
    sentence = _skipped(3, ["text:\x1b[2J\n" + "x" * 500, *map(str, range(9))])
    assert "\x1b" not in sentence and "\n" not in sentence and len(sentence) < 300
    assert f"and {10 - MOST_NAMED} more" in sentence
