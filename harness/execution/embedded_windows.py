"""A language model as the instruments see it: a function of embeddings, at the last position of
each window."""

import numpy as np
import torch
from torch import Tensor, nn

from harness.errors import UserError
from harness.language import (
    CausalLM,
    Corpus,
    LanguageConfig,
    LanguageTask,
    window_begins,
    windows_at,
)
from harness.noise import Noise
from harness.task import Data, Seeds, Text

EMBEDDED_WINDOWS = 512
"""Windows embedded at most, of training and of held-out text each."""

EMBEDDED_NUMBERS = 2**25
"""Numbers that the embedded windows hold at most, of training and of held-out text each."""


class LastPosition(nn.Module):
    """A language model from embeddings (B, T, width) to the logits after the last of them."""

    def __init__(self, model: CausalLM):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model.last(x)


@torch.no_grad()
def embedded(
    task: LanguageTask,
    config: LanguageConfig,
    corpus: Corpus,
    model: CausalLM,
    seeds: Seeds,
    device: torch.device,
) -> Data:
    """Return windows of training and of held-out text in the model's own embeddings; the label of
    each is the token after it.

    Raises UserError when either text has fewer than two windows.
    """
    count = max(2, min(EMBEDDED_WINDOWS, EMBEDDED_NUMBERS // task.d_ambient(config)))
    length = config.context + 1
    separator = corpus.separator

    train_draw = seeds.generator("data")
    test_draw = seeds.generator("measure")
    train_windows = _drawn_windows(corpus.train, separator, length, count, train_draw, "training")
    test_windows = _drawn_windows(corpus.held_out, separator, length, count, test_draw, "held-out")
    train = torch.from_numpy(train_windows).to(device)
    test = torch.from_numpy(test_windows).to(device)

    table = model.table().detach()
    text = Text(test[:, :-1], table, byte_tokens=task.byte_tokens(config))
    return Data(
        x_train=table[train[:, :-1]],
        y_train=train[:, -1],
        x_test=table[text.tokens],
        y_test=test[:, -1],
        noise=Noise("none", 0.0, 0.0),
        classes=len(table),
        text=text,
    )


def _drawn_windows(
    tokens: np.ndarray,
    separator: int,
    length: int,
    count: int,
    draw: torch.Generator,
    side: str,
) -> np.ndarray:
    """Return (≤ count, length) int64 windows in the order of the text. Raises UserError when there
    are fewer than two."""
    begins = window_begins(tokens, separator, length)
    if len(begins) < 2:
        raise UserError(
            f"the corpus has {len(begins)} {side} windows of {length} tokens that lie within one"
            " document, and measures need 2: lower 'context', or use longer documents"
        )
    chosen = torch.randperm(len(begins), generator=draw)[:count].sort().values
    return windows_at(tokens, begins[chosen.numpy()], length).astype("int64")
