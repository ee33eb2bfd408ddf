"""Where text comes from, always named explicitly, and its tokens: read once, then memory-mapped by
every process of a node.

python-stdlib    the running Python's standard library, source files without its tests: real text,
offline, the default hub:NAME         a data set of the Hugging Face hub, streamed; hub:NAME@CONFIG,
hub:NAME@CONFIG#SPLIT (split `train` if left out) text:PATH        a file, or a folder of *.txt
files parquet:PATH     a Parquet file, or a folder of *.parquet files jsonl:PATH       a file of
JSON lines, or a folder of *.jsonl files

A file is a document in python-stdlib and text, a row in the others. Documents that occur twice are
kept once, and about one in twenty is held out: which, the document's own hash says. So no held-out
document is also trained on, and neither a larger part of the source nor another order of it moves a
document from one side to the other.

The standard library belongs to a Python version: another version is another corpus, with another
content hash.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import UserError, did_you_mean
from harness.language import Corpus
from tasks.tokenizers import Tokenizer, make_tokenizer, tokenizer_identity
from tasks.tokenizers import check_tokenizer as check_tokenizer
from tasks.tokenizers import vocabulary_size as vocabulary_size

CORPUS_VERSION = 1
"""Raised when the same text would give other tokens."""

HELD_OUT = 0.05
"""Share of the documents."""

BATCH = 64
"""Documents encoded in one call: enough to use a tokenizer's own threads, few enough to need
little memory."""

LOCAL_FORMATS = {"text": "*.txt", "parquet": "*.parquet", "jsonl": "*.jsonl"}
NO_LIBRARY = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
"""Folders of Python's installation that are not the library: its tests, of which some are no
text, and other packages."""


def check_source(source: str) -> str:
    """The name as it is. Raises ValueError with what is allowed."""
    if source == "python-stdlib" or re.fullmatch(
        r"hub:[^@#]+(@[^@#]+)?(#[^@#]+)?|(text|parquet|jsonl):.+", source
    ):
        return source
    rest = source.partition(":")[2]
    allowed = ["python-stdlib", *(f"{kind}:{rest}" for kind in ("hub", *LOCAL_FORMATS))]
    raise ValueError(
        "the source of text must be 'python-stdlib', 'hub:NAME', 'hub:NAME@CONFIG',"
        " 'hub:NAME@CONFIG#SPLIT', 'text:PATH', 'parquet:PATH' or 'jsonl:PATH', not"
        f" {source[:60]!r}{did_you_mean(source, allowed)}"
    )


@lru_cache(maxsize=4)
def load_corpus(
    source: str, tokenizer: str, megabytes: float | None = None, text_field: str = "text"
) -> Corpus:
    """The tokens of a source. Raises UserError with what to use instead.

    `megabytes` (10⁶ bytes of UTF-8) caps the text that is read: whole documents in order, as many
    as fit; None reads all of a local source. `text_field` is the field of a row that holds the
    text.

    Tokens are kept in `corpus_folder` and memory-mapped from there. Where they cannot be written,
    every process has them in its own memory. What is kept from the hub is not asked for again: it
    stays as it was when it was first read.
    """
    try:
        check_source(source)
        check_tokenizer(tokenizer)
    except ValueError as e:
        raise UserError(str(e)) from None
    if source.startswith("hub:") and megabytes is None:
        raise UserError(
            f"the source '{source}' needs 'megabytes': how much text to take from the beginning of"
            " the data set"
        )
    about = [
        CORPUS_VERSION,
        source_identity(source),
        tokenizer_identity(tokenizer),
        megabytes,
        text_field,
    ]
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()
    found = _kept(key)
    if found:
        return found
    with _one_at_a_time(key):  # the others of this node wait, and then read what the first has made
        return _kept(key) or _keep(_read(source, tokenizer, megabytes, text_field), key)


@contextlib.contextmanager
def _one_at_a_time(key: str) -> Iterator[None]:
    """Hold the lock of a corpus; where none can be made, every process makes its own."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError, RuntimeError):
            locks = corpus_folder(key).parent.with_name("locks")
            locks.mkdir(parents=True, exist_ok=True)
            lock = held.enter_context((locks / key).open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def corpus_folder(key: str) -> Path:
    """Where the tokens of a source are kept; it can be deleted at any time, and is then made
    again."""
    return (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        / "unilaw"
        / "corpora"
        / key
    )


def content_hash(corpus: Corpus) -> str:
    """SHA-256 over everything else in a corpus, wherever it was read from."""
    about = [str(corpus.train.dtype), len(corpus.train), len(corpus.held_out), *corpus[2:5]]
    digest = hashlib.sha256(json.dumps(about).encode())
    digest.update(corpus.train.data)
    digest.update(corpus.held_out.data)
    return digest.hexdigest()


def split(documents: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Training and held-out documents, each once, in the order in which they first came. Raises
    UserError for fewer than two.

    Held out are those whose SHA-256 lies in the lowest `HELD_OUT` of its range. Where that leaves a
    side empty, it gets the document next to the limit.
    """
    by_hash = {hashlib.sha256(document).digest(): document for document in documents}
    if len(by_hash) < 2:
        raise UserError(
            f"the source has {'one document' if by_hash else 'no document'} that is read, and needs"
            " at least two different ones, one to hold out: a document is a file of text, or a"
            " row; split the text into several, or raise 'megabytes'"
        )
    limit = int(HELD_OUT * 2**64).to_bytes(8, "big")
    held_out = {digest for digest in by_hash if digest < limit} or {min(by_hash)}
    if len(held_out) == len(by_hash):
        held_out.remove(max(held_out))
    return [d for h, d in by_hash.items() if h not in held_out], [
        d for h, d in by_hash.items() if h in held_out
    ]


def documents(source: str, text_field: str = "text") -> Iterator[bytes]:
    """The documents of a source in order, as UTF-8 without byte 0, which is no text; empty ones
    left out.

    Bytes of a file that are no UTF-8 become U+FFFD, as a browser shows them.
    """
    if source == "python-stdlib" or source.startswith("text:"):
        texts = (path.read_bytes().decode("utf-8", errors="replace") for path in _files(source))
    else:
        texts = _texts(source, text_field)
    for text in texts:
        if document := text.encode().replace(b"\0", b""):
            yield document


def source_identity(source: str) -> str:
    """A string that is another when a source could have other documents: the content of its
    files in order, or the hub's name."""
    if source.startswith("hub:"):
        return source
    digest = hashlib.sha256()
    for path in _files(source):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{source.partition(':')[0]} {digest.hexdigest()}"


def _files(source: str) -> list[Path]:
    """A local source's files, sorted by their path inside it."""
    if source == "python-stdlib":
        root = Path(sysconfig.get_paths()["stdlib"])
        return sorted(_library(root), key=lambda path: path.relative_to(root).as_posix())
    kind, _, name = source.partition(":")
    path, pattern = Path(name), LOCAL_FORMATS[kind]
    if path.is_file():
        return [path]
    found = sorted(path.rglob(pattern), key=lambda file: file.relative_to(path).as_posix())
    if not found:
        raise UserError(
            f"the source '{source}' is neither a file nor a folder that holds {pattern} files"
        )
    return found


def _library(root: Path) -> Iterator[Path]:
    """Python's own source files, less those that are written for one machine when it is built."""
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [
            name for name in subfolders if name not in NO_LIBRARY and not name.startswith("config-")
        ]
        yield from (
            Path(folder, name)
            for name in names
            if name.endswith(".py") and not name.startswith("_sysconfigdata")
        )


def _texts(source: str, field: str) -> Iterator[str]:
    """The text of every row."""
    for number, row in enumerate(_rows(source), start=1):
        if field not in row:
            raise UserError(
                f"the source '{source}' has no field '{field}'; it has"
                f" {', '.join(row)}{did_you_mean(field, row)}"
            )
        if not isinstance(row[field], str):
            raise UserError(
                f"the source '{source}': field '{field}' of row {number} is"
                f" {type(row[field]).__name__}, not text"
            )
        yield row[field]


def _rows(source: str) -> Iterator[dict]:
    """Rows, read as they are asked for."""
    import datasets

    kind, _, name = source.partition(":")
    if kind == "hub":
        name, _, part = name.partition("#")
        name, _, config = name.partition("@")
        asked: dict[str, Any] = {"path": name, "name": config or None, "split": part or "train"}
        instead = (
            "; without a network use 'python-stdlib', 'text:PATH', 'parquet:PATH' or 'jsonl:PATH'"
        )
    else:
        files = [str(path) for path in _files(source)]
        asked = {"path": "json" if kind == "jsonl" else kind, "data_files": files, "split": "train"}
        instead = ""
    try:
        yield from datasets.load_dataset(**asked, streaming=True)
    except Exception as e:  # of many types: no network, no such data set, a damaged file
        raise UserError(
            f"the source '{source}' could not be read ({type(e).__name__}){instead}"
        ) from None


def _within(documents: Iterable[bytes], megabytes: float | None) -> Iterator[bytes]:
    """The first documents that together hold at most so many 10⁶ bytes."""
    left = float("inf") if megabytes is None else megabytes * 1e6
    for document in documents:
        left -= len(document)
        if left < 0:
            return
        yield document


def _read(source: str, name: str, megabytes: float | None, text_field: str) -> Corpus:
    """Read, split and tokenize in memory, which must hold the text and its tokens at once."""
    train, held_out = split(_within(documents(source, text_field), megabytes))
    tokenizer = make_tokenizer(name, train)
    made = Corpus(
        train=_tokens(train, tokenizer, name),
        held_out=_tokens(held_out, tokenizer, name),
        vocabulary=tokenizer.vocabulary,
        separator=tokenizer.separator,
        held_out_bytes=sum(map(len, held_out)),
        content_hash="",
    )
    return made._replace(content_hash=content_hash(made))


def _tokens(documents: Sequence[bytes], tokenizer: Tokenizer, name: str) -> np.ndarray:
    """(N,) documents one after another, a separator after each."""
    dtype = _dtype(tokenizer.vocabulary)
    written = bytearray()
    for start in range(0, len(documents), BATCH):
        for tokens in tokenizer.encode(documents[start : start + BATCH]):
            written += np.append(
                np.asarray(tokens, dtype), dtype.type(tokenizer.separator)
            ).tobytes()
    tokens = np.frombuffer(written, dtype)
    if (tokens == tokenizer.separator).sum() != len(documents):
        raise UserError(
            f"the tokenizer '{name}' puts its end-of-text token inside documents, where it must"
            " only separate them"
        )
    return tokens


def _dtype(vocabulary: int) -> np.dtype:
    return np.dtype(np.uint16 if vocabulary <= 2**16 else np.uint32)


def _kept(key: str) -> Corpus | None:
    """The corpus memory-mapped; None where there is none, or its files are not what they were
    when they were written."""
    # RuntimeError: a user without a home
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RuntimeError):
        folder = corpus_folder(key)
        about = json.loads((folder / "corpus.json").read_text())
        dtype = _dtype(about["vocabulary"])
        arrays = {
            name: np.memmap(folder / f"{name}.bin", dtype, "r") for name in ("train", "held_out")
        }
        corpus = Corpus(**arrays, **{name: about[name] for name in Corpus._fields[2:]})
        if about["key"] == key and content_hash(corpus) == corpus.content_hash:
            return corpus
    return None


def _keep(corpus: Corpus, key: str) -> Corpus:
    """Write a corpus and give it back memory-mapped, or as it is where it cannot be written.

    It is written beside its place and moved there whole, so that no process reads half of one.
    Where several make the same at once, one is kept.
    """
    with contextlib.suppress(OSError, RuntimeError):
        folder = corpus_folder(key)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="_tmp-", dir=folder.parent) as temporary:
            new = Path(temporary, "new")
            new.mkdir()
            corpus.train.tofile(new / "train.bin")
            corpus.held_out.tofile(new / "held_out.bin")
            about = {"key": key, **{name: getattr(corpus, name) for name in Corpus._fields[2:]}}
            (new / "corpus.json").write_text(json.dumps(about, indent=1))
            if _kept(key) is None and folder.exists():  # what is there is damaged
                os.replace(folder, Path(temporary, "old"))
            os.replace(new, folder)  # refused where another process was first
    return _kept(key) or corpus
