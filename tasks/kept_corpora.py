"""Keep corpora on disk: tokens are written once and memory-mapped by every process of a node."""

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
    """Return the folder that keeps the tokens of a corpus. It can be deleted at any time, and is
    made again when it is needed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "unilaw" / "corpora" / key


def content_hash(corpus: Corpus) -> str:
    """Return the SHA-256 over everything in a corpus but the hash itself. The source does not
    count."""
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
    """Hold the lock of a corpus, so that one process of this node makes the corpus while the others
    wait. Where no lock can be made, every process makes its own corpus."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, RuntimeError):
            locks = corpus_folder(key).parent.with_name("locks")
            locks.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((locks / key).open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def kept_corpus(key: str) -> Corpus | None:
    """Return the kept corpus, memory-mapped; None when there is none, or when its files are no
    longer what was written."""
    # RuntimeError: a user without a home folder, and JSON that is nested too deeply
    # OverflowError: a number that is infinite
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
    """Write a corpus and return it memory-mapped, or unchanged when it cannot be written.

    The files are written elsewhere and moved into place together, so no process reads half a
    corpus. When several processes make the same corpus at once, one copy is kept.
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
            os.replace(new, folder)  # fails when another process was first
    return kept_corpus(key) or corpus
