"""Fixtures of the tests of corpora."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.corpora import load_corpus
from tests.tasks.corpora.some_documents import DOCUMENTS, write


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Give every test an empty cache, and return the folder of its corpora."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    load_corpus.cache_clear()
    yield tmp_path / "cache" / "unilaw" / "corpora"
    load_corpus.cache_clear()


@pytest.fixture
def source(tmp_path: Path) -> str:
    """Return a source of eight documents: TRAIN and HELD_OUT mixed."""
    return write(tmp_path / "text", DOCUMENTS)
