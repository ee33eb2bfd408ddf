"""Models of tokens: a table of bigrams, and a small GPT-2 of transformers."""

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from harness.language import CausalLM


class Bigram(nn.Module):
    """Logits of the next token by the last one alone: (V, V)."""

    def __init__(self, logits: Tensor):
        super().__init__()
        self.logits = logits
        self.seen: list[Tensor] = []
        """The tokens of every call."""

    def forward(self, tokens: Tensor) -> Tensor:
        self.seen.append(tokens)
        return self.logits[tokens]


def tiny_gpt2(vocabulary: int, positions: int) -> CausalLM:
    """GPT-2 with large random weights and dropout."""
    config = GPT2Config(
        vocab_size=vocabulary,
        n_positions=positions,
        n_embd=16,
        n_layer=2,
        n_head=2,
        initializer_range=0.5,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(0)
    return CausalLM(GPT2LMHeadModel(config)).train()
