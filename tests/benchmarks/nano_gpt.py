"""The models that unilaw's is timed against: nanoGPT (Karpathy 2022) written out, and transformers'
GPT-2 as it comes."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel


class Shape(NamedTuple):
    layers: int
    width: int
    heads: int
    context: int
    vocabulary: int
    batch: int
    steps: int


class Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.width = width
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.size()
        q, k, v = (
            part.view(B, T, self.heads, C // self.heads).transpose(1, 2)
            for part in self.c_attn(x).split(self.width, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.ln_2 = nn.LayerNorm(width)
        # GPT-2's tanh form; nanoGPT has the exact one, which takes about as long.
        parts = {
            "c_fc": nn.Linear(width, 4 * width),
            "gelu": nn.GELU(approximate="tanh"),
            "c_proj": nn.Linear(4 * width, width),
        }
        self.mlp = nn.ModuleDict(parts)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp["c_proj"](self.mlp["gelu"](self.mlp["c_fc"](self.ln_2(x))))


class NanoGPT(nn.Module):
    """nanoGPT's model with biases and without dropout; parameters have GPT-2's names."""

    def __init__(self, shape: Shape):
        super().__init__()
        width = shape.width
        blocks = nn.ModuleList(Block(width, shape.heads) for _ in range(shape.layers))
        tables = {
            "wte": nn.Embedding(shape.vocabulary, width),
            "wpe": nn.Embedding(shape.context, width),
        }
        self.transformer = nn.ModuleDict({**tables, "h": blocks, "ln_f": nn.LayerNorm(width)})
        self.lm_head = nn.Linear(width, shape.vocabulary, bias=False)
        self.lm_head.weight = tables["wte"].weight
        for name, p in self.named_parameters():
            if p.dim() > 1:
                into_residual = name.endswith("c_proj.weight")
                nn.init.normal_(p, std=0.02 / (2 * shape.layers) ** 0.5 if into_residual else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.transformer["wte"](tokens) + self.transformer["wpe"](positions)
        for block in self.transformer["h"]:  # pyright: ignore[reportGeneralTypeIssues]
            x = block(x)
        return self.lm_head(self.transformer["ln_f"](x))


class Stock(nn.Module):
    """transformers' GPT-2 with every default but dropout."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=shape.vocabulary,
                n_positions=shape.context,
                n_embd=shape.width,
                n_layer=shape.layers,
                n_head=shape.heads,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                bos_token_id=None,
                eos_token_id=None,
            )
        )

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(tokens).logits


def with_weights(model: nn.Module, gpt2: nn.Module, nano: NanoGPT) -> nn.Module:
    """A copy of nanoGPT's weights in transformers' model, whose layers keep their matrices
    transposed."""
    turned = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    gpt2.load_state_dict(
        {name: p.t() if name.endswith(turned) else p for name, p in nano.state_dict().items()}
    )
    return model
