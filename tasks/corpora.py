"""Turn text into tokens, split into training and held-out documents. The text is read once; its
tokens are memory-mapped from then on.

Repeated documents are kept once. A document's own hash decides whether it is held out; about one in
twenty is. So no held-out document is also trained on, and reading more of the source, or reading it
in another order, moves no document from one side to the other.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np

from harness.errors import UserError
from harness.language import Corpus
from tasks.kept_corpora import content_hash, corpus_lock, keep_corpus, kept_corpus, token_dtype
from tasks.text_sources import check_source, documents, source_identity
from tasks.tokenizers import Tokenizer, check_tokenizer, make_tokenizer, tokenizer_identity

CORPUS_VERSION = 1
"""Increase this when the same text would give different tokens."""

HELD_OUT = 0.05
"""Share of the documents that are held out."""

BATCH = 64
"""Documents encoded in one call: enough to use a tokenizer's own threads, few enough to need
little memory."""


@lru_cache(maxsize=4)
def load_corpus(
    source: str,
    tokenizer: str,
    megabytes: float | None = None,
    text_field: str = "text",
    trained: bool = True,
) -> Corpus:
    """Return the tokens of a source. Raise UserError, naming what to use instead, when there are
    none.

    megabytes: the most text to read, in 10⁶ bytes of UTF-8. Whole documents are read in order, as
    many as fit. None reads all of a local source. text_field: the field of a row that holds the
    text. trained: whether a model is trained on the text; otherwise a single document is enough.

    Tokens are kept in `corpus_folder` and memory-mapped from there. Where they cannot be written,
    every process has them in its own memory. A data set is read from the hub once, and what was
    read is kept unchanged.
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
        *([] if trained else ["measured alone"]),
    ]
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()
    corpus = kept_corpus(key)
    if corpus:
        return corpus
    with corpus_lock(key):  # the other processes of this node wait, then read what the first made
        return kept_corpus(key) or keep_corpus(
            _read(source, tokenizer, megabytes, text_field, trained), key
        )


def split(documents: Iterable[bytes], trained: bool = True) -> tuple[list[bytes], list[bytes]]:
    """Return training and held-out documents, each once, in the order in which they first came.

    Documents whose SHA-256 lies in the lowest `HELD_OUT` of its range are held out. A side that
    would be empty gets the document next to the limit. Raise UserError for fewer than two
    documents; where nothing is trained, a single one stands on both sides.
    """
    by_hash = {hashlib.sha256(document).digest(): document for document in documents}
    if len(by_hash) == 1 and not trained:
        return list(by_hash.values()), list(by_hash.values())
    if len(by_hash) < 2:
        count = "only one document" if by_hash else "no document"
        raise UserError(
            f"{count} was read from the source, and at least two different ones are needed, one to"
            " hold out; a document is a text file or a row: split the text into several, or raise"
            " 'megabytes'"
        )

    limit = int(HELD_OUT * 2**64).to_bytes(8, "big")
    held_out = {digest for digest in by_hash if digest < limit} or {min(by_hash)}
    if len(held_out) == len(by_hash):
        held_out.remove(max(held_out))

    train_documents = [document for digest, document in by_hash.items() if digest not in held_out]
    held_out_documents = [document for digest, document in by_hash.items() if digest in held_out]
    return train_documents, held_out_documents


def _read(
    source: str, tokenizer_name: str, megabytes: float | None, text_field: str, trained: bool
) -> Corpus:
    """Read, split and tokenize in memory, which must hold the text and its tokens at once."""
    train, held_out = split(_within(documents(source, text_field), megabytes), trained)
    tokenizer = make_tokenizer(tokenizer_name, train)
    corpus = Corpus(
        train=_tokens(train, tokenizer, tokenizer_name),
        held_out=_tokens(held_out, tokenizer, tokenizer_name),
        vocabulary=tokenizer.vocabulary,
        separator=tokenizer.separator,
        held_out_bytes=sum(map(len, held_out)),
        content_hash="",
    )
    return corpus._replace(content_hash=content_hash(corpus))


def _within(documents: Iterable[bytes], megabytes: float | None) -> Iterator[bytes]:
    """Yield the first documents that together have at most this many 10⁶ bytes."""
    remaining = float("inf") if megabytes is None else megabytes * 1e6
    for document in documents:
        remaining -= len(document)
        if remaining < 0:
            return
        yield document


def _tokens(documents: Sequence[bytes], tokenizer: Tokenizer, tokenizer_name: str) -> np.ndarray:
    """Return (N,) tokens: the documents one after another, a separator after each."""
    dtype = token_dtype(tokenizer.vocabulary)
    separator = dtype.type(tokenizer.separator)
    written = bytearray()
    for start in range(0, len(documents), BATCH):
        for tokens in tokenizer.encode(documents[start : start + BATCH]):
            written += np.append(np.asarray(tokens, dtype), separator).tobytes()

    tokens = np.frombuffer(written, dtype)
    if (tokens == separator).sum() != len(documents):
        raise UserError(
            f"the tokenizer '{tokenizer_name}' puts its end-of-text token inside documents; it may"
            " only separate them"
        )
    return tokens
