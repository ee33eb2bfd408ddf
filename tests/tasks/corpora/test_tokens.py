"""The tokens of a corpus, and the hash of its content.

Run alone: python -m pytest tests/tasks/corpora/test_tokens.py
"""

from pathlib import Path

import numpy as np
import pytest
import tokenizers
import transformers

from harness.errors import UserError
from tasks.corpora import load_corpus
from tasks.kept_corpora import content_hash
from tests.tasks.corpora.some_documents import HELD_OUT, TRAIN, same, share, texts, write


def test_a_corpus_of_bytes_is_its_documents(source: str):
    corpus = load_corpus(source, "bytes")
    assert texts(corpus.train) == TRAIN and texts(corpus.held_out) == HELD_OUT
    assert (corpus.vocabulary, corpus.separator) == (256, 0)
    assert corpus.held_out_bytes == sum(map(len, HELD_OUT))
    assert corpus.held_out_bytes == len(corpus.held_out) - len(HELD_OUT)
    assert corpus.tokens_per_byte == 1


def test_bpe_is_trained_on_the_training_documents_alone(tmp_path: Path):
    merged = 257  # the one pair that bpe-258 merges

    frequent_inside = [document + b"QZ" * 500 for document in TRAIN]
    corpus = load_corpus(write(tmp_path / "a", [*frequent_inside, *HELD_OUT]), "bpe-258")
    assert (corpus.train == merged).any()

    plain = [b"abab " + document for document in TRAIN]
    plain = [document for document in plain if share(document) >= 0.05]
    candidates = (b"QZ" * 500 + str(number).encode() for number in range(10_000))
    frequent_outside = next(document for document in candidates if share(document) < 0.05)
    corpus = load_corpus(write(tmp_path / "b", [*plain, frequent_outside]), "bpe-258")
    # QZ has no token, however frequent it is in what is held out.
    assert len(corpus.held_out) > 1000


def test_bpe_corpus(source: str):
    corpus = load_corpus(source, "bpe-270")
    assert corpus.vocabulary == 270
    assert corpus.train.dtype == np.uint16
    assert corpus.train[-1] == corpus.separator
    assert (corpus.train == corpus.separator).sum() == len(TRAIN)
    assert (corpus.held_out == corpus.separator).sum() == len(HELD_OUT)
    assert 256 < corpus.train.max() < 270
    assert corpus.held_out_bytes == sum(map(len, HELD_OUT))
    assert corpus.tokens_per_byte < 1


def word_tokenizer(folder: Path, words: dict[str, int], separator: str) -> str:
    """Save a tokenizer of whole words, and return its name."""
    word_level = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="?"))
    word_level.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=word_level, eos_token=separator, unk_token="?"
    )
    tokenizer.save_pretrained(folder)
    return f"folder:{folder}"


@pytest.mark.parametrize(("last", "dtype"), [(2**16 - 1, np.uint16), (2**16, np.uint32)])
def test_tokens_are_as_wide_as_the_vocabulary_needs(
    source: str, tmp_path: Path, last: int, dtype: type
):
    name = word_tokenizer(tmp_path / "words", {"document": 5, "?": 6, "<end>": last}, "<end>")
    corpus = load_corpus(source, name)
    assert corpus.train.dtype == corpus.held_out.dtype == dtype
    assert corpus.vocabulary == last + 1
    assert corpus.train.tolist() == [5, 6, 6, last] * len(TRAIN)
    load_corpus.cache_clear()
    assert same(load_corpus(source, name), corpus)


def test_a_tokenizer_that_uses_its_separator_inside_documents(source: str, tmp_path: Path):
    name = word_tokenizer(tmp_path / "words", {"document": 0, "?": 1}, "document")
    with pytest.raises(UserError, match="puts its end-of-text token inside documents"):
        load_corpus(source, name)


def test_the_content_hash_is_of_everything(source: str):
    corpus = load_corpus(source, "bytes")
    changed = corpus.held_out.copy()
    changed[0] += 1
    others = [
        corpus._replace(train=corpus.train[:-1]),
        corpus._replace(held_out=changed),
        corpus._replace(train=corpus.train.astype(np.uint32)),
        corpus._replace(
            train=corpus.train[:-9], held_out=np.concatenate([corpus.train[-9:], corpus.held_out])
        ),
        corpus._replace(vocabulary=257),
        corpus._replace(separator=1),
        corpus._replace(held_out_bytes=1),
    ]
    assert content_hash(corpus) == corpus.content_hash
    assert len(corpus.content_hash) == 64
    assert len({corpus.content_hash, *map(content_hash, others)}) == 1 + len(others)
