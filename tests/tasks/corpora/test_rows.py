"""Documents from the rows of Parquet and JSON lines, and of the hub.

Run alone: python -m pytest tests/tasks/corpora/test_rows.py
"""

import re
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from harness.errors import UserError
from tasks.corpora import load_corpus
from tasks.text_sources import documents
from tests.tasks.corpora.some_documents import (
    DOCUMENTS,
    HELD_OUT,
    ROWS,
    TRAIN,
    jsonl,
    parquet,
    same,
    texts,
)

KINDS = [("jsonl", jsonl), ("parquet", parquet)]


@pytest.mark.parametrize(("kind", "write_rows"), KINDS)
def test_rows_are_the_same_corpus_as_files(
    tmp_path: Path, source: str, kind: str, write_rows: Callable
):
    path = write_rows(tmp_path / f"x.{kind}", ROWS)
    corpus = load_corpus(f"{kind}:{path}", "bytes")
    assert corpus.content_hash == load_corpus(source, "bytes").content_hash
    assert texts(corpus.train) == TRAIN


@pytest.mark.parametrize(("kind", "write_rows"), KINDS)
def test_a_folder_of_rows_is_read_in_order_and_by_its_field(
    tmp_path: Path, kind: str, write_rows: Callable
):
    folder = tmp_path / "rows"
    write_rows(folder / f"2.{kind}", {"story": ["c\0c", "", "d"]})
    write_rows(folder / f"1.{kind}", {"story": ["a", "b"]})
    assert list(documents(f"{kind}:{folder}", "story")) == [b"a", b"b", b"cc", b"d"]


def test_a_field_that_is_not_there(tmp_path: Path):
    path = jsonl(tmp_path / "x.jsonl", {"id": [1], "txt": ["a"]})
    message = "has no field 'text'; it has id, txt; did you mean 'txt'?"
    with pytest.raises(UserError, match=re.escape(message)):
        load_corpus(f"jsonl:{path}", "bytes")


def test_a_field_that_is_no_text(tmp_path: Path):
    path = jsonl(tmp_path / "x.jsonl", {"text": ["a", None]})
    with pytest.raises(UserError, match="field 'text' of row 2 is NoneType, not text"):
        load_corpus(f"jsonl:{path}", "bytes")


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_damaged_rows(tmp_path: Path, kind: str):
    (tmp_path / f"x.{kind}").write_bytes(b'{"text": "a"}\n{"te')
    with pytest.raises(UserError, match=rf"the source '{kind}:.*' could not be read \(\w+\)$"):
        load_corpus(f"{kind}:{tmp_path / f'x.{kind}'}", "bytes")


# The hub


class Hub:
    """A hub of one data set, streamed row by row from a local file. Records the requests and the
    number of rows read."""

    def __init__(self, path: Path):
        self.load = datasets.load_dataset
        self.path = path
        self.requests: list[tuple] = []
        self.read = 0

    def __call__(self, path: str, name: str | None = None, *, split: str, streaming: bool):
        self.requests.append((path, name, split))
        assert streaming
        rows = self.load("json", data_files=str(self.path), split="train", streaming=True)
        return map(self.count, rows)

    def count(self, row: dict) -> dict:
        self.read += 1
        return row


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hub:
    hub = Hub(jsonl(tmp_path / "hub.jsonl", ROWS))
    monkeypatch.setattr(datasets, "load_dataset", hub)
    return hub


@pytest.mark.parametrize(
    ("name", "expected_request"),
    [
        ("hub:wikitext", ("wikitext", None, "train")),
        ("hub:a/b@c-1", ("a/b", "c-1", "train")),
        ("hub:a/b#test", ("a/b", None, "test")),
        ("hub:a/b@c#validation", ("a/b", "c", "validation")),
    ],
)
def test_the_hub_is_asked_for_what_the_name_says(
    hub: Hub, source: str, name: str, expected_request: tuple
):
    corpus = load_corpus(name, "bytes", 1.0)
    assert hub.requests == [expected_request]
    assert corpus.content_hash == load_corpus(source, "bytes").content_hash


def test_only_the_beginning_of_the_hub_s_rows_is_read(hub: Hub):
    corpus = load_corpus("hub:a", "bytes", sum(map(len, DOCUMENTS[:4])) / 1e6)
    assert texts(corpus.train) == TRAIN[:3] and texts(corpus.held_out) == HELD_OUT[:1]
    assert hub.read == 5


def test_what_was_read_from_the_hub_needs_no_network_again(hub: Hub):
    corpus = load_corpus("hub:a", "bytes", 1.0)
    load_corpus.cache_clear()
    assert same(load_corpus("hub:a", "bytes", 1.0), corpus)
    assert len(hub.requests) == 1
    load_corpus("hub:a@b", "bytes", 1.0)
    load_corpus("hub:a", "bytes", 2.0)
    assert len(hub.requests) == 3, "another configuration or amount is another corpus"


def test_the_hub_is_not_read_without_an_end():
    with pytest.raises(UserError, match="'hub:a' needs 'megabytes': how much text to take"):
        load_corpus("hub:a", "bytes")


def test_the_hub_without_network_says_what_to_use(monkeypatch: pytest.MonkeyPatch):
    def no_network(**request):
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", no_network)
    with pytest.raises(UserError) as refused:
        load_corpus("hub:a/b", "bytes", 1.0)
    message = "'hub:a/b' could not be read (ConnectionError); without a network use 'python-stdlib'"
    assert message in str(refused.value)
