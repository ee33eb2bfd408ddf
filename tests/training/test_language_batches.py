"""The windows of tokens that a language model is trained on, and their order.

Run alone: python -m pytest tests/training/test_language_batches.py
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.errors import UserError
from harness.training.language_batches import training_windows
from tests.training.small_language_models import (
    CONTEXT,
    Recorder,
    bigram,
    chain,
    small_config,
    train,
)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int64])
@pytest.mark.parametrize(
    ("length", "context"), [(9, 8), (16, 8), (17, 8), (1000, 7), (3, 2), (100, 99)]
)
def test_every_token_but_the_first_is_a_target_once(length: int, context: int, dtype: type):
    tokens = np.arange(length).astype(dtype)
    windows = training_windows(tokens, context, 1)
    assert windows.shape == ((length - 1) // context, context + 1)
    assert np.shares_memory(windows, tokens)

    targets = windows[:, 1:].flatten()
    assert list(targets) == list(range(1, len(targets) + 1))
    assert length - 1 - len(targets) < context
    assert np.array_equal(windows[:, :-1] + 1, windows[:, 1:])


@pytest.mark.parametrize(("length", "n"), [(0, 1), (1, 1), (8, 1), (9, 2), (100, 13)])
def test_too_few_windows(length: int, n: int):
    available = max(length - 1, 0) // CONTEXT
    message = f"the corpus has {available} training windows of {CONTEXT} tokens, and n is {n}$"
    with pytest.raises(UserError, match=message):
        train(bigram(), small_config(n=n), chain(length))


@pytest.mark.parametrize("fields", [dict(n=0), dict(max_epochs=0)])
def test_nothing_to_train_on(fields: dict[str, Any]):
    with pytest.raises(ValueError, match="nothing to train on"):
        train(bigram(), small_config(**fields))


def seen(
    n: int,
    max_epochs: int = 1,
    seed: int = 0,
    batch_size: int = 7,
    tokens: np.ndarray | None = None,
) -> list[tuple[int, ...]]:
    """Return the windows that a model sees in training, in order, each without its last target."""
    recorder = Recorder(1000)
    train(
        recorder,
        small_config(n=n, max_epochs=max_epochs, batch_size=batch_size),
        np.arange(1000) if tokens is None else tokens,
        seed=seed,
    )
    assert all(batch.dtype == torch.int64 for batch in recorder.batches)
    return [tuple(row) for batch in recorder.batches for row in batch.tolist()]


@pytest.mark.slow
def test_a_smaller_n_is_a_prefix():
    longest = seen(124)
    assert sorted(longest) == [
        tuple(range(begin, begin + CONTEXT)) for begin in range(0, 992, CONTEXT)
    ]
    assert longest != sorted(longest)
    for n in (1, 6, 7, 8, 60, 123):
        assert seen(n) == longest[:n]
        assert seen(n, batch_size=16) == longest[:n], "whatever the batches"


def test_another_seed_draws_other_windows():
    assert set(seen(20, seed=1)) != set(seen(20)) == set(seen(20))


def test_every_epoch_has_the_same_windows_in_a_new_order():
    windows = seen(20, max_epochs=3)
    epochs = [windows[begin : begin + 20] for begin in (0, 20, 40)]
    assert epochs[0] == seen(20)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert len({frozenset(epoch) for epoch in epochs}) == 1


def test_tokens_may_be_memory_mapped(tmp_path: Path):
    path = tmp_path / "tokens.bin"
    np.arange(1000, dtype=np.uint16).tofile(path)
    assert seen(20, tokens=np.memmap(path, np.uint16, mode="r")) == seen(20)
