"""The windows of a source of text: cut from its documents, and drawn without two of one input."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from harness.errors import UserError
from harness.language import window_begins
from harness.language import windows as cut
from tasks.corpora import load_corpus

HELD_OUT = 1000
"""Number of held-out windows."""

CHOICE_SEED = 20210526
"""Seed of the choice of held-out windows, which are the same for every trial."""


@lru_cache(maxsize=2)
def windows_of(
    source: str, tokenizer: str, megabytes: float | None, length: int
) -> tuple[np.ndarray, Tensor]:
    """Return all training windows, (W, length), and the held-out windows."""
    corpus = load_corpus(source, tokenizer, megabytes)
    train = cut(corpus.train, corpus.separator, length)
    return train, held_out_windows(source, tokenizer, megabytes, length)


@lru_cache(maxsize=16)
def training_window_count(source: str, tokenizer: str, megabytes: float | None, length: int) -> int:
    """Return how many training windows there are, equal ones included."""
    corpus = load_corpus(source, tokenizer, megabytes)
    return len(window_begins(corpus.train, corpus.separator, length))


@lru_cache(maxsize=4)
def held_out_windows(source: str, tokenizer: str, megabytes: float | None, length: int) -> Tensor:
    """Return the held-out windows, (HELD_OUT, length), which are the same for every trial. Raises
    UserError where there are fewer."""
    corpus = load_corpus(source, tokenizer, megabytes)
    held_out = cut(corpus.held_out, corpus.separator, length)
    draw = torch.Generator().manual_seed(CHOICE_SEED)
    return sample_different(held_out, HELD_OUT, draw, "held-out", before=length - 1)


def sample_different(
    all_windows: np.ndarray, n: int, generator: torch.Generator, kind: str, before: int
) -> Tensor:
    """Return (n, length) int64: windows drawn without replacement, no two with the same `before`
    first tokens, those before the first target. The windows for a smaller n are the first of those
    for a larger one.

    One input with two targets can never be fitted, however large the model. Raise UserError where
    there are fewer than n different windows; `kind` is their name in the message.
    """
    order = torch.randperm(len(all_windows), generator=generator).numpy()
    inputs: set[bytes] = set()
    rows: list[int] = []
    for row in order:
        window_input = all_windows[row, :before].tobytes()
        if window_input in inputs:
            continue
        inputs.add(window_input)
        rows.append(row)
        if len(rows) == n:
            return torch.from_numpy(all_windows[np.array(rows)].astype(np.int64))

    raise UserError(too_few(f"different {kind}", n, len(rows), before))


def too_few(kind: str, needed: int, found: int, context: int) -> str:
    return f"the source has {found:,} {kind} windows of {context} tokens, and {needed:,} are needed"
