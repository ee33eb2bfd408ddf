"""Corpora on disk: tokens are written once, and memory-mapped by every process of a node."""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.language import Corpus


def corpus_folder(key: str) -> Path:
    """Return where the tokens of a corpus are kept. The folder can be deleted at any time, and is
    then made again."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "unilaw" / "corpora" / key


def content_hash(corpus: Corpus) -> str:
    """Return the SHA-256 over everything else in a corpus, wherever it was read from."""
    about = [str(corpus.train.dtype), len(corpus.train), len(corpus.held_out), *corpus[2:5]]
    digest = hashlib.sha256(json.dumps(about).encode())
    digest.update(corpus.train.data)
    digest.update(corpus.held_out.data)
    return digest.hexdigest()


def token_dtype(vocabulary: int) -> np.dtype:
    """Return the smallest unsigned type, of 16 bits or more, that holds every token."""
    return np.dtype(np.uint16 if vocabulary <= 2**16 else np.uint32)


@contextlib.contextmanager
def corpus_lock(key: str) -> Iterator[None]:
    """Hold the lock of a corpus, so that one process of this node makes it and the others wait;
    where no lock can be made, every process makes its own."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, RuntimeError):
            locks = corpus_folder(key).parent.with_name("locks")
            locks.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((locks / key).open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def kept_corpus(key: str) -> Corpus | None:
    """Return the corpus memory-mapped; None where there is none, or where its files are no longer
    what was written."""
    # RuntimeError: a user without a home
    # (and JSON that is nested too deeply), OverflowError: a number that is infinite
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RuntimeError, OverflowError):
        folder = corpus_folder(key)
        about = json.loads((folder / "corpus.json").read_text())
        dtype = token_dtype(about["vocabulary"])
        corpus = Corpus(
            train=np.memmap(folder / "train.bin", dtype, "r"),
            held_out=np.memmap(folder / "held_out.bin", dtype, "r"),
            **{name: about[name] for name in Corpus._fields[2:]},
        )
        if about["key"] == key and content_hash(corpus) == corpus.content_hash:
            return corpus
    return None


def keep_corpus(corpus: Corpus, key: str) -> Corpus:
    """Write a corpus and return it memory-mapped, or as it is where it cannot be written.

    The files are written beside their place and moved there together, so that no process reads half
    a corpus. Where several processes make the same corpus at once, one is kept.
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

            is_damaged = kept_corpus(key) is None and folder.exists()
            if is_damaged:
                os.replace(folder, Path(temporary, "old"))
            os.replace(new, folder)  # refused where another process was first
    return kept_corpus(key) or corpus
