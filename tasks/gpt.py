"""GPT-2 (Radford et al. 2019) of any size, from transformers: one model for streams of tokens, and
one for windows of embeddings.

Both are the library's own modules, set up to train as fast as a hand-written loop
(tests/benchmarks/language_throughput.py). GELU's tanh form is one kernel instead of eight.
Attention is registered under a name of our own, for which transformers builds no mask. Building a
mask waits for the GPU in every step, and in a compiled model the mask would keep attention off its
fast kernel.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, GPT2Config, GPT2LMHeadModel, GPT2Model

from harness.language import CausalLM
from tasks.window_model import WindowModel


def fused_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: None,
    scaling: float,
    dropout: float = 0.0,
    **rest: Any,
) -> tuple[Tensor, None]:
    """Attend by torch's fused kernel, from query, key and value (B, heads, T, size) to (B, T,
    heads, size). Windows are complete and nothing is cached, so no mask but the causal one is
    needed."""
    y = F.scaled_dot_product_attention(
        query, key, value, dropout_p=dropout, is_causal=True, scale=scaling
    )
    return y.transpose(1, 2), None


AttentionInterface.register("fused_causal", fused_attention)


def gpt2_config(
    layers: int,
    width: int,
    heads: int,
    context: int,
    vocabulary: int,
    tied: bool = True,
    dropout: float = 0.0,
) -> GPT2Config:
    """Return GPT-2's configuration for a size. tied: the head is the transposed token embedding."""
    config = GPT2Config(
        vocab_size=vocabulary,
        n_positions=context,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        tie_word_embeddings=tied,
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    config._attn_implementation = "fused_causal"
    return config


def size_of_depth(depth: int) -> tuple[int, int]:
    """Return width and heads of a model of `depth` layers: one dial from 1e4 parameters to beyond
    1e9.

    Width is 16 times the depth up to 4 layers, 64 times from 16 layers on, as in GPT-2's small
    model, and about 4·depth² in between. Loss hardly depends on this ratio (Kaplan et al. 2020,
    section 3.1 and figure 5). A ratio of 64 throughout would begin near 1e5 parameters, and one of
    16 would need 69 layers for 1e9. The size of a head is a power of two from 8 to 64, chosen to
    give four heads where possible.

    | depth | width | heads | parameters (256 tokens, context 128) |
    | ----- | ----- | ----- | ------------------------------------ |
    |     1 |    16 |     2 |         9 456 |
    |     2 |    32 |     4 |        37 760 |
    |     4 |    64 |     4 |       224 640 |
    |     8 |   256 |     4 |     6 416 896 |
    |    12 |   576 |     9 |    48 087 936 |
    |    16 |  1024 |    16 |   201 934 848 |
    |    20 |  1280 |    20 |   394 042 880 |
    |    28 |  1792 |    28 | 1 080 328 704 |
    """
    goal = depth * min(64, max(16, 4 * depth))
    head = min(64, max(8, 1 << (goal // 4).bit_length() - 1))
    heads = round(goal / head)
    return heads * head, heads


def stream_gpt(
    layers: int,
    width: int,
    heads: int,
    context: int,
    vocabulary: int,
    tied: bool = True,
    dropout: float = 0.0,
) -> CausalLM:
    """Return a model with learned token and position embeddings, logits at every position, and
    GPT-2's initial weights."""
    config = gpt2_config(layers, width, heads, context, vocabulary, tied, dropout)
    return CausalLM(GPT2LMHeadModel(config))


class WindowGPT(WindowModel):
    """GPT-2 of windows (B, context, d_in), at its own initial weights."""

    body_class = GPT2Model
    table = "wte"

    def config(self, layers: int, width: int, heads: int, context: int) -> GPT2Config:
        return gpt2_config(layers, width, heads, context, vocabulary=1)
