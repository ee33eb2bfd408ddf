"""Llama (Touvron et al. 2023) of any size, from transformers, for windows of embeddings: rotary
positions, RMSNorm and SwiGLU in place of GPT-2's learned positions, LayerNorm and GELU, and no
biases.

At equal width and depth it has as many parameters in attention and MLPs as GPT-2, because the three
matrices of SwiGLU are 8/3 of the width wide (Shazeer 2020, section 2).
"""

from torch import nn
from transformers import LlamaConfig, LlamaModel

from tasks.window_model import WindowModel


class WindowLlama(WindowModel):
    """A Llama of windows (B, context, d_in), at transformers' own initial weights. width / heads
    must be even."""

    def __init__(
        self,
        d_in: int,
        width: int,
        layers: int,
        heads: int,
        context: int,
        vocabulary: int,
        targets: int = 1,
    ):
        config = LlamaConfig(
            vocab_size=1,  # the token table is built and then removed
            hidden_size=width,
            intermediate_size=round(8 * width / 3),
            num_hidden_layers=layers,
            num_attention_heads=heads,
            max_position_embeddings=context,
            attention_dropout=0.0,
            use_cache=False,
            bos_token_id=None,
            eos_token_id=None,
        )
        config._attn_implementation = "plain_causal"

        def body() -> nn.Module:
            model = LlamaModel(config)
            model.embed_tokens = None  # pyright: ignore[reportAttributeAccessIssue] - inputs are embedded
            return model

        super().__init__(body, d_in, width, vocabulary, config.initializer_range, targets)
