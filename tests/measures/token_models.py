"""Make models of tokens: a table of bigrams, and a small GPT-2 from transformers."""

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from harness.language import CausalLM


class Bigram(nn.Module):
    """The logits of the next token depend only on the last one: a table (V, V)."""

    def __init__(self, logits: Tensor):
        super().__init__()
        self.logits = logits
        self.seen: list[Tensor] = []
        """The tokens of every call."""

    def forward(self, tokens: Tensor) -> Tensor:
        self.seen.append(tokens)
        return self.logits[tokens]


def tiny_gpt2(vocabulary: int, positions: int) -> CausalLM:
    """Return GPT-2 with large random weights and dropout."""
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
