"""Make random windows of tokens for the instruments of changed tokens."""

import torch

from harness.task import Text


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def text(
    windows: int, length: int, vocabulary: int, seed: int = 0, byte_tokens: bool = False
) -> Text:
    """Return random windows of tokens that are all embedded as unit vectors."""
    drawn = torch.randint(vocabulary, (windows, length), generator=generator(100 + seed))
    return Text(drawn, torch.eye(vocabulary), byte_tokens)
