"""Small models of `tasks.gpt`, and inputs for them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from harness.language import CausalLM
from tasks.gpt import WindowGPT, stream_gpt

LAYERS = 2
WIDTH = 32
HEADS = 4
CONTEXT = 12
VOCABULARY = 50
D_IN = 8


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return make()


def a_stream(tied: bool = True) -> CausalLM:
    return stream_gpt(LAYERS, WIDTH, HEADS, CONTEXT, VOCABULARY, tied)


def a_window() -> WindowGPT:
    return WindowGPT(D_IN, WIDTH, LAYERS, HEADS, CONTEXT, VOCABULARY)


def stock_gpt2(tied: bool) -> GPT2LMHeadModel:
    """Return the stock model of transformers, in evaluation mode."""
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=CONTEXT,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=None,
    )
    return GPT2LMHeadModel(config).eval()


def shaken(model: nn.Module) -> nn.Module:
    """Move the weights so far that attention is uneven and no bias is zero; return the model."""
    for p in model.parameters():
        p.data += 0.2 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    return model


def some_tokens(batch: int = 3) -> Tensor:
    return torch.randint(VOCABULARY, (batch, CONTEXT), generator=torch.Generator().manual_seed(1))


def some_windows(batch: int = 3) -> Tensor:
    return torch.randn(batch, CONTEXT, D_IN, generator=torch.Generator().manual_seed(2))
