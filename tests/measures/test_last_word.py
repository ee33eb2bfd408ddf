"""Last words: examples by hand, examples of all lengths, and greedy continuations of a
transformer.

Run alone: python -m pytest tests/measures/test_last_word.py
"""

import math

import pytest
import torch
from torch import Tensor, nn

from harness.measures import next_token as instrument
from harness.measures.next_token import LastWord, last_word
from tests.measures.token_models import Bigram, tiny_gpt2


def counting(vocabulary: int) -> Bigram:
    return Bigram(torch.eye(vocabulary).roll(1, 1))


def example(passage: list[int], word: list[int]) -> tuple[Tensor, Tensor]:
    return torch.tensor(passage), torch.tensor(word)


@pytest.mark.parametrize(
    ("passage", "word", "right"),
    [
        ([3, 4], [5], True),
        ([3, 4], [6], False),
        ([9, 9, 4], [5, 6, 7], True),
        ([3, 4], [5, 7], False),
        ([3, 4], [6, 7], False),
        ([3, 4], [5, 6, 8], False),
        ([9], [0], True),
    ],
)
def test_a_word_is_predicted_when_each_of_its_tokens_is(
    passage: list[int], word: list[int], right: bool
):
    assert last_word(counting(10), [example(passage, word)], 100) == LastWord(float(right), 0.0, 1)


@pytest.mark.parametrize("positions", [1, 8, 2048])
def test_examples_of_all_lengths_are_counted_together(positions: int, monkeypatch):
    monkeypatch.setattr(instrument, "POSITIONS", positions)
    right = [example(list(range(k)), [k, k + 1][: 1 + k % 2]) for k in range(1, 8)]
    wrong = [example(list(range(k)), [k + 1]) for k in range(1, 4)]
    found = last_word(counting(10), [*right, *wrong], 100)
    assert found == (0.7, pytest.approx(math.sqrt(0.7 * 0.3 / 10)), 10)


@pytest.mark.parametrize(
    ("passage", "word", "right"),
    [
        ([7, 1, 2, 3], [1], True),
        ([7, 1, 2, 3], [7], False),
        ([7, 1, 2, 3], [2, 2], True),
        ([7, 1, 2, 3], [1, 1], False),
        ([1, 2, 3], [1], True),
        ([4, 2], [4], True),
        ([4, 2], [4, 4], True),
    ],
)
def test_long_passages_are_cut_from_the_left(passage: list[int], word: list[int], right: bool):
    """A model that reads three tokens and predicts the first of them."""

    class First(nn.Module):
        def forward(self, tokens: Tensor) -> Tensor:
            assert tokens.shape[1] <= 3
            return nn.functional.one_hot(tokens[:, :1].expand_as(tokens), 10).float()

    assert last_word(First(), [example(passage, word)], 3).accuracy == float(right)


def test_the_greedy_continuation_of_transformers_is_the_last_word():
    model, draw = tiny_gpt2(23, 12).eval(), torch.Generator().manual_seed(1)
    examples = []
    for length in (3, 3, 5, 9):
        tokens = torch.randint(23, (length,), generator=draw)
        with torch.no_grad():
            for _ in range(3):
                tokens = torch.cat([tokens, model(tokens[None])[0, -1:].argmax(1)])
        examples.append((tokens[:-3], tokens[-3:]))

    assert last_word(model.train(), examples, 12) == (1.0, 0.0, 4)
    spoilt = [(passage, (word + 1) % 23) for passage, word in examples[:2]]
    assert last_word(model, [*spoilt, *examples[2:]], 12).accuracy == 0.5
