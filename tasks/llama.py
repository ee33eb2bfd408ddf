"""Llama (Touvron et al. 2023) of any size, from transformers, for windows of embeddings: rotary
positions, RMSNorm and SwiGLU in place of GPT-2's learned positions, LayerNorm and GELU, and no
biases.

At equal width and depth it has as many parameters in attention and MLPs as GPT-2, because the three
matrices of SwiGLU are 8/3 of the width wide (Shazeer 2020, section 2).
"""

from transformers import LlamaConfig, LlamaModel

from tasks.window_model import WindowModel


class WindowLlama(WindowModel):
    """A Llama of windows (B, context, d_in), at transformers' own initial weights. width / heads
    must be even."""

    body_class = LlamaModel
    table = "embed_tokens"

    def config(self, layers: int, width: int, heads: int, context: int) -> LlamaConfig:
        return LlamaConfig(
            vocab_size=1,
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
