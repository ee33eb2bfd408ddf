"""The windows of tokens that a language model is trained on, and the order in which it sees
them."""

from collections.abc import Iterator

import numpy as np
import torch

from harness.errors import UserError
from harness.language import LanguageConfig, training_window_count


def training_windows(tokens: np.ndarray, context: int, n: int) -> np.ndarray:
    """Return all windows as a view, (W, context + 1). Each shares one token with the next, so that
    every token but the first is a target once.

    Separators are tokens like any other. The last tokens are left out where they are fewer than a
    window. Raise UserError when W is below n.
    """
    available = training_window_count(len(tokens), context)
    if n > available:
        raise UserError(
            f"the corpus has {available:,} training windows of {context} tokens, and n is {n:,}"
        )
    return np.lib.stride_tricks.sliding_window_view(tokens, context + 1)[::context]


def batches(available: int, config: LanguageConfig, order: torch.Generator) -> Iterator[np.ndarray]:
    """Yield each step's windows, as (≤ batch_size,) row numbers.

    The first pass takes the first n of one permutation of all windows, in its order. Further passes
    take the same windows in new orders.
    """
    # A clone: a view would keep the whole permutation in memory.
    chosen = torch.randperm(available, generator=order)[: config.n].clone()
    for epoch in range(config.max_epochs):
        rows = chosen
        if epoch > 0:
            rows = chosen[torch.randperm(config.n, generator=order)]
        for begin in range(0, config.n, config.batch_size):
            yield rows.numpy()[begin : begin + config.batch_size]
