"""Make language models small enough to train within a test, and tokens for them to learn."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from harness.language import CausalLM, LanguageConfig
from harness.task import Seeds
from harness.training.language_checkpoint import LanguageCheckpoint
from harness.training.language_loop import LanguageFit, train_language

CPU = torch.device("cpu")
VOCABULARY = 12
CONTEXT = 8


def bigram(vocabulary: int = VOCABULARY, width: int = 16) -> nn.Module:
    """Return an embedding and a layer with biases. They can hold any table of next-token
    probabilities if the width is at least the vocabulary."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary))


def gpt(dropout: float = 0.0) -> CausalLM:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        shape = GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=CONTEXT,
            n_embd=16,
            n_layer=1,
            n_head=2,
            resid_pdrop=dropout,
            embd_pdrop=dropout,
            attn_pdrop=dropout,
            bos_token_id=None,
            eos_token_id=None,
        )
        return CausalLM(GPT2LMHeadModel(shape))


def chain(length: int, stay: float = 0.8, vocabulary: int = VOCABULARY) -> np.ndarray:
    """Return tokens on a circle. Each is 1 further than the one before with probability `stay`,
    and 2 further otherwise."""
    draw = np.random.default_rng(0)
    steps = np.where(draw.random(length) < stay, 1, 2)
    return (np.cumsum(steps) % vocabulary).astype(np.uint16)


def small_config(**fields: Any) -> LanguageConfig:
    return LanguageConfig(**{"n": 30, "context": CONTEXT, "batch_size": 12, **fields})


def train(
    model: nn.Module,
    config: LanguageConfig,
    tokens: np.ndarray | None = None,
    checkpoint: LanguageCheckpoint | None = None,
    seed: int = 0,
) -> LanguageFit:
    """Train on the tokens, or on a chain that is long enough."""
    if tokens is None:
        tokens = chain(config.n * config.context + 50)
    order = Seeds(seed).generator("order")
    with torch.random.fork_rng():
        torch.manual_seed(5)  # what dropout draws from
        return train_language(model, tokens, config, order, CPU, checkpoint)


def assert_same_state(model: nn.Module, other: nn.Module) -> None:
    """Compare parameters and buffers bit for bit."""
    expected = other.state_dict()
    assert model.state_dict().keys() == expected.keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


class Recorder(nn.Module):
    """A model that keeps every batch that it receives."""

    def __init__(self, vocabulary: int):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(vocabulary, vocabulary))
        self.batches: list[Tensor] = []

    def forward(self, tokens: Tensor) -> Tensor:
        self.batches.append(tokens.clone())
        return self.table[tokens]


class Breaking(nn.Module):
    """A model that adds a number, NaN or inf, to its logits from one call on."""

    def __init__(self, call: int, number: float):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(VOCABULARY, VOCABULARY))
        self.call = call
        self.number = number
        self.calls = 0

    def forward(self, tokens: Tensor) -> Tensor:
        self.calls += 1
        return self.table[tokens] + (self.number if self.calls >= self.call else 0.0)
