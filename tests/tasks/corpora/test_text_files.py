"""Documents from files of text, and from Python's standard library.

Run alone: python -m pytest tests/tasks/corpora/test_text_files.py
"""

import re
import sysconfig
from pathlib import Path

import pytest

from harness.errors import UserError
from tasks.corpora import load_corpus
from tasks.text_sources import documents
from tests.tasks.corpora.some_documents import texts, write


def test_files_are_read_in_the_order_of_their_paths(tmp_path: Path):
    for name in ("b.txt", "a/z.txt", "a/b/c.txt", "c.txt", "c.md"):
        (tmp_path / "text" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "text" / name).write_text(name)
    in_order = [b"a/b/c.txt", b"a/z.txt", b"b.txt", b"c.txt"]
    assert list(documents(f"text:{tmp_path / 'text'}")) == in_order
    # A single file may have any name.
    assert list(documents(f"text:{tmp_path / 'text' / 'c.md'}")) == [b"c.md"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"plain\r\n\ttext", [b"plain\r\n\ttext"]),
        (b"\0a\0\0b\0", [b"ab"]),
        (b"\0\0", []),
        (b"", []),
        ("é ℓ 😀".encode(), ["é ℓ 😀".encode()]),
        (b"caf\xe9!", ["caf\ufffd!".encode()]),
    ],
    ids=["lines", "zeros", "zeros-alone", "empty", "unicode", "latin-1"],
)
def test_what_a_document_is_of_a_file(tmp_path: Path, written: bytes, read: list[bytes]):
    assert list(documents(write(tmp_path / "text", [written]))) == read


@pytest.mark.parametrize(
    ("kind", "pattern"), [("text", "*.txt"), ("parquet", "*.parquet"), ("jsonl", "*.jsonl")]
)
def test_a_place_without_files(tmp_path: Path, kind: str, pattern: str):
    (tmp_path / "x.md").write_text("nothing")
    for place in (tmp_path / "no", tmp_path):
        message = f"'{kind}:{place}' is neither a file nor a folder that holds {pattern} files"
        with pytest.raises(UserError, match=re.escape(message)):
            load_corpus(f"{kind}:{place}", "bytes")


@pytest.mark.parametrize(
    ("megabytes", "count"),
    [(0.0029, 2), (0.003, 3), (0.0035, 3), (0.01, 10), (1.0, 10), (None, 10)],
)
def test_megabytes_are_whole_documents_from_the_beginning(
    tmp_path: Path, megabytes: float | None, count: int
):
    of_1000_bytes = [bytes([97 + number]) * 1000 for number in range(10)]
    corpus = load_corpus(write(tmp_path / "text", of_1000_bytes), "bytes", megabytes)
    assert sorted(texts(corpus.train) + texts(corpus.held_out)) == of_1000_bytes[:count]


def test_too_few_megabytes(source: str):
    message = "no document was read from the source, .* or raise 'megabytes'"
    with pytest.raises(UserError, match=message):
        load_corpus(source, "bytes", 1e-6)


# Python's standard library


def test_the_library_has_no_tests_no_packages_and_nothing_of_one_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    library = ["abc.py", "json/__init__.py", "json/tool.py", "unittest/mock.py", "testing.py"]
    without = [
        "test/test_abc.py",
        "json/tests/test_json.py",
        "idlelib/idle_test/mock.py",
        "site-packages/torch/nn.py",
        "dist-packages/x.py",
        "__pycache__/y.py",
        "_sysconfigdata__linux.py",
        "config-3.11-x86_64/python-config.py",
        "LICENSE.txt",
        "lib-dynload/z.so",
    ]
    for name in library + without:
        (tmp_path / "lib" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lib" / name).write_text(name)
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path / "lib")})
    assert [document.decode() for document in documents("python-stdlib")] == sorted(library)


def test_the_running_python_s_library_is_real_text():
    library = list(documents("python-stdlib"))
    assert len(library) > 400
    assert 3e6 < sum(map(len, library)) < 3e7

    text = b"\n".join(library)
    assert b"def namedtuple(" in text
    assert b"class TestCase(" in text
    assert b"class TestNamedTuple(" not in text, "which is in its tests"
    assert b"\0" not in text


def test_a_part_of_the_library():
    corpus = load_corpus("python-stdlib", "bytes", 0.1)
    assert 0.05e6 < (corpus.train > 0).sum() + (corpus.held_out > 0).sum() <= 0.1e6
    assert any(
        text.startswith(b'"""Record of phased-in incompatible language changes.')
        for text in texts(corpus.train)
    )
