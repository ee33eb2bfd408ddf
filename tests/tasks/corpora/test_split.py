"""Which documents are held out."""

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

# What is held out


def test_one_document_in_twenty_is_held_out_by_its_own_hash():
    some = [f"document {number}".encode() for number in range(4000)]
    train, held_out = split(some)
    assert held_out == [document for document in some if share(document) < 0.05]
    assert train == [document for document in some if share(document) >= 0.05]
    assert 160 < len(held_out) < 240, "4000 · 0.05 within three standard deviations"


def test_a_document_that_occurs_twice_is_kept_once_on_its_side():
    train, held_out = split([*DOCUMENTS, *reversed(DOCUMENTS), *DOCUMENTS[2:5]])
    assert train == TRAIN and held_out == HELD_OUT


@pytest.mark.parametrize("seed", range(3))
def test_neither_order_nor_other_documents_move_one(seed: int):
    draw = random.Random(seed)
    some = on_side(False, 100, seed) + on_side(True, 5, seed)
    shuffled = draw.sample(some, len(some))
    part = [*draw.sample(some[:100], 20), *some[-2:]]
    whole, mixed, fewer = ([set(side) for side in split(each)] for each in (some, shuffled, part))
    assert mixed == whole
    assert fewer[0] <= whole[0] and fewer[1] <= whole[1]


@pytest.mark.parametrize("held_out", [False, True])
def test_a_side_that_would_be_empty_gets_the_document_next_to_the_limit(held_out: bool):
    some = sorted(on_side(held_out, 5), key=share)
    assert split(some[::-1]) == (
        (some[:0:-1], some[:1]) if not held_out else (some[4:], some[3::-1])
    )


@pytest.mark.parametrize(
    ("some", "how_many"),
    [([], "no document"), ([b"a"], "one document"), ([b"a", b"a"], "one document")],
)
def test_one_document_cannot_be_split(some: list[bytes], how_many: str):
    with pytest.raises(
        UserError,
        match=f"the source has {how_many} that is read, and needs at least two different ones",
    ):
        split(some)


def test_no_document_is_on_both_sides_of_a_corpus(tmp_path: Path):
    corpus = load_corpus(write(tmp_path / "text", [*DOCUMENTS, *DOCUMENTS]), "bytes")
    assert texts(corpus.train) == TRAIN and texts(corpus.held_out) == HELD_OUT
