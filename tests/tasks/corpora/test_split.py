"""Which documents are held out.

Run alone: python -m pytest tests/tasks/corpora/test_split.py
"""

import random
from pathlib import Path

import pytest

from harness.errors import UserError
from tasks.corpora import load_corpus, split
from tests.tasks.corpora.some_documents import (
    DOCUMENTS,
    HELD_OUT,
    TRAIN,
    on_side,
    share,
    texts,
    write,
)


def test_one_document_in_twenty_is_held_out_by_its_own_hash():
    documents = [f"document {number}".encode() for number in range(4000)]
    train, held_out = split(documents)
    assert held_out == [document for document in documents if share(document) < 0.05]
    assert train == [document for document in documents if share(document) >= 0.05]
    assert 160 < len(held_out) < 240, "4000 · 0.05 within three standard deviations"


def test_a_document_that_occurs_twice_is_kept_once_on_its_side():
    train, held_out = split([*DOCUMENTS, *reversed(DOCUMENTS), *DOCUMENTS[2:5]])
    assert train == TRAIN and held_out == HELD_OUT


@pytest.mark.parametrize("seed", range(3))
def test_neither_order_nor_other_documents_move_one(seed: int):
    draw = random.Random(seed)
    documents = on_side(False, 100, seed) + on_side(True, 5, seed)
    train, held_out = split(documents)

    train_of_shuffled, held_out_of_shuffled = split(draw.sample(documents, len(documents)))
    assert set(train_of_shuffled) == set(train)
    assert set(held_out_of_shuffled) == set(held_out)

    train_of_part, held_out_of_part = split([*draw.sample(documents[:100], 20), *documents[-2:]])
    assert set(train_of_part) <= set(train)
    assert set(held_out_of_part) <= set(held_out)


@pytest.mark.parametrize("held_out", [False, True])
def test_a_side_that_would_be_empty_gets_the_document_next_to_the_limit(held_out: bool):
    a, b, c, d, e = sorted(on_side(held_out, 5), key=share)
    expected = ([e], [d, c, b, a]) if held_out else ([e, d, c, b], [a])
    assert split([e, d, c, b, a]) == expected


@pytest.mark.parametrize(
    ("documents", "how_many"),
    [([], "no document"), ([b"a"], "one document"), ([b"a", b"a"], "one document")],
)
def test_one_document_cannot_be_split(documents: list[bytes], how_many: str):
    message = f"{how_many} was read from the source, and at least two different ones are needed"
    with pytest.raises(UserError, match=message):
        split(documents)


def test_one_document_is_enough_where_nothing_is_trained(tmp_path: Path):
    assert split([b"a", b"a"], trained=False) == ([b"a"], [b"a"])
    assert split(DOCUMENTS, trained=False) == split(DOCUMENTS)
    with pytest.raises(UserError, match="no document"):
        split([], trained=False)

    place = write(tmp_path / "one", DOCUMENTS[:1])
    measured = load_corpus(place, "bytes", trained=False)
    assert texts(measured.train) == texts(measured.held_out) == DOCUMENTS[:1]
    with pytest.raises(UserError, match="only one document"):
        load_corpus(place, "bytes")


def test_no_document_is_on_both_sides_of_a_corpus(tmp_path: Path):
    corpus = load_corpus(write(tmp_path / "text", [*DOCUMENTS, *DOCUMENTS]), "bytes")
    assert texts(corpus.train) == TRAIN and texts(corpus.held_out) == HELD_OUT
