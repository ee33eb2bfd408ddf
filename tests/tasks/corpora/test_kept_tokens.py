"""The files that keep a corpus's tokens: mapped, made again when damaged, and made once by many
processes.

Run alone: python -m pytest tests/tasks/corpora/test_kept_tokens.py
"""

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks import corpora
from tasks.corpora import load_corpus
from tasks.text_sources import source_identity
from tests.tasks.corpora.some_documents import DOCUMENTS, TRAIN, on_side, same, texts, write


def only_folder(cache: Path) -> Path:
    (folder,) = cache.iterdir()
    return folder


def test_tokens_are_mapped_from_files_and_made_once(
    own_cache: Path, source: str, monkeypatch: pytest.MonkeyPatch
):
    corpus = load_corpus(source, "bytes")
    assert isinstance(corpus.train, np.memmap)
    assert isinstance(corpus.held_out, np.memmap)
    names = sorted(path.name for path in only_folder(own_cache).iterdir())
    assert names == ["corpus.json", "held_out.bin", "train.bin"]
    assert load_corpus(source, "bytes") is corpus

    load_corpus.cache_clear()
    monkeypatch.setattr(corpora, "_read", None)
    again = load_corpus(source, "bytes")
    assert again is not corpus
    assert same(again, corpus)
    assert isinstance(again.train, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        again.train[0] = 1


def test_another_text_tokenizer_or_amount_is_another_corpus(
    own_cache: Path, source: str, tmp_path: Path
):
    first = load_corpus(source, "bytes")
    load_corpus(source, "bytes", 1.0)
    load_corpus(source, "bpe-258")
    (tmp_path / "text" / "000.txt").write_bytes(on_side(False, 1, seed=9)[0])
    load_corpus.cache_clear()
    assert load_corpus(source, "bytes").content_hash != first.content_hash
    assert len(list(own_cache.iterdir())) == 4


@pytest.mark.parametrize(
    ("change", "is_another"),
    [
        (lambda folder: None, False),
        (lambda folder: os.utime(folder / "000.txt", (1, 1)), False),
        (lambda folder: (folder / "notes.md").write_text("x"), False),
        (lambda folder: (folder / "000.txt").write_bytes(TRAIN[0][:-1] + b"!"), True),
        (lambda folder: (folder / "000.txt").unlink(), True),
        (lambda folder: (folder / "000.txt").rename(folder / "999.txt"), True),
        (lambda folder: (folder / "new.txt").write_text("x"), True),
    ],
    ids=["nothing", "time", "other-file", "content", "fewer", "order", "more"],
)
def test_a_local_source_is_what_its_files_hold(
    source: str, tmp_path: Path, change: Callable, is_another: bool
):
    before = source_identity(source)
    change(tmp_path / "text")
    assert (source_identity(source) != before) == is_another
    moved = shutil.copytree(tmp_path / "text", tmp_path / "elsewhere")
    assert source_identity(f"text:{moved}") == source_identity(source)


def edit(**fields) -> Callable[[Path], object]:
    def change(folder: Path):
        path = folder / "corpus.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return change


def flip(folder: Path):
    content = bytearray((folder / "train.bin").read_bytes())
    content[10] ^= 1
    (folder / "train.bin").write_bytes(content)


def into_file(folder: Path):
    shutil.rmtree(folder)
    folder.write_text("not a folder")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": lambda folder: os.truncate(folder / "train.bin", 20),
    "cut-inside-a-token": lambda folder: os.truncate(folder / "train.bin", 21),
    "longer": lambda folder: os.truncate(folder / "held_out.bin", 2000),
    "empty": lambda folder: (folder / "held_out.bin").write_bytes(b""),
    "other-byte": flip,
    "swapped": lambda folder: shutil.copy(folder / "train.bin", folder / "held_out.bin"),
    "no-train": lambda folder: (folder / "train.bin").unlink(),
    "no-json": lambda folder: (folder / "corpus.json").unlink(),
    "cut-json": lambda folder: os.truncate(folder / "corpus.json", 30),
    "no-object": lambda folder: (folder / "corpus.json").write_text("[]"),
    "no-field": lambda folder: (folder / "corpus.json").write_text('{"vocabulary": 256}'),
    "other-vocabulary": edit(vocabulary=300),
    "no-number": edit(vocabulary="256"),
    "other-hash": edit(content_hash="0" * 64),
    "no-folder": shutil.rmtree,
    "a-file": into_file,
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_files_are_made_again(
    own_cache: Path, source: str, monkeypatch: pytest.MonkeyPatch, damage: Callable
):
    # A copy in memory: the mapped tokens would change, or vanish, with their file.
    mapped = load_corpus(source, "bytes")
    sound = mapped._replace(train=np.array(mapped.train), held_out=np.array(mapped.held_out))

    damage(only_folder(own_cache))
    load_corpus.cache_clear()
    again = load_corpus(source, "bytes")
    assert same(again, sound)
    assert isinstance(again.train, np.memmap)

    # The files are sound from then on, and nothing lies beside them.
    load_corpus.cache_clear()
    monkeypatch.setattr(corpora, "_read", None)
    assert same(load_corpus(source, "bytes"), sound)
    only_folder(own_cache)


def test_the_files_of_another_corpus_are_not_taken_for_this_one(
    own_cache: Path, source: str, tmp_path: Path
):
    load_corpus(write(tmp_path / "other", DOCUMENTS[1:]), "bytes")
    other = only_folder(own_cache)
    load_corpus(source, "bytes")
    (here,) = set(own_cache.iterdir()) - {other}
    shutil.rmtree(here)
    shutil.copytree(other, here)
    load_corpus.cache_clear()
    assert texts(load_corpus(source, "bytes").train) == TRAIN


def test_without_a_writable_cache_tokens_are_in_memory(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mapped = load_corpus(source, "bytes")
    load_corpus.cache_clear()
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))
    corpus = load_corpus(source, "bytes")
    assert same(corpus, mapped)
    assert not isinstance(corpus.train, np.memmap)


def test_a_full_disk_leaves_nothing_behind(
    own_cache: Path, source: str, monkeypatch: pytest.MonkeyPatch
):
    def no_space(*paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    corpus = load_corpus(source, "bytes")
    assert not isinstance(corpus.train, np.memmap)
    assert texts(corpus.train) == TRAIN
    assert list(own_cache.iterdir()) == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("there_before", ["nothing", "damaged"])
def test_processes_that_make_one_corpus_at_once(own_cache: Path, source: str, there_before: str):
    if there_before == "damaged":
        load_corpus(source, "bytes")
        flip(only_folder(own_cache))
        load_corpus.cache_clear()
    fork = multiprocessing.get_context("fork")
    start = fork.Barrier(3)
    results = fork.SimpleQueue()
    reads = fork.Value("i", 0)
    read = corpora._read

    def read_and_count(*arguments):
        with reads.get_lock():
            reads.value += 1
        return read(*arguments)

    def child():
        corpora._read = read_and_count
        start.wait(30)
        corpus = load_corpus(source, "bytes")
        is_right = texts(corpus.train) == TRAIN
        is_mapped = isinstance(corpus.train, np.memmap)
        results.put((is_right, is_mapped, corpus.content_hash))

    children = [fork.Process(target=child) for _ in range(3)]
    for process in children:
        process.start()
    for process in children:
        process.join(60)
    assert [process.exitcode for process in children] == [0, 0, 0]
    assert reads.value == 1, "the others wait for the first and read what it made"
    expected = (True, True, load_corpus(source, "bytes").content_hash)
    assert {results.get() for _ in children} == {expected}
    assert (only_folder(own_cache) / "corpus.json").is_file()
