"""GPT-2 on windows of tokens with its own learned embeddings: a token table that is trained and is
the head as well, and learned positions.

The model has two faces. It is trained on tokens. The instruments see it as a function of what the
table made of them, as they see language models: their input space is then part of the model, moves
with the labels, and grows with the width.
"""

from torch import Tensor, nn
from transformers import GPT2Model

from harness.language import transformer_group
from tasks.gpt import gpt2_config
from tasks.window_model import PLAIN_ATTENTION


class LearnedWindowGPT(nn.Module):
    """Map windows of embedded tokens (B, context, width), rows of `table()`, to the (B, vocabulary)
    logits after the last token, at GPT-2's own initial weights."""

    def __init__(
        self, width: int, layers: int, heads: int, context: int, vocabulary: int, targets: int = 1
    ):
        """targets: the last so many positions are trained on."""
        super().__init__()
        config = gpt2_config(layers, width, heads, context, vocabulary)
        config._attn_implementation = PLAIN_ATTENTION
        self.body = GPT2Model(config)
        self.targets = targets

    def forward(self, x: Tensor) -> Tensor:
        return self._logits(x, 1)[:, -1]

    def table(self) -> Tensor:
        """Return (vocabulary, width) the learned embedding of every token."""
        return self.body.wte.weight

    def of_tokens(self, tokens: Tensor) -> Tensor:
        """Return the logits after the last of (B, context) tokens, (B, vocabulary), or with several
        targets at each of them, (B, targets, vocabulary)."""
        logits = self._logits(self.body.wte(tokens), self.targets)
        return logits if self.targets > 1 else logits[:, -1]

    def for_training(self) -> nn.Module:
        """Return the module that is trained, with this one's weights."""
        return OfTokens(self)

    def group_of(self, parameter: str) -> str:
        """Return the group that a parameter counts in. The head is the table, and counts there."""
        return transformer_group(parameter)

    def _logits(self, x: Tensor, last: int) -> Tensor:
        hidden = self.body(inputs_embeds=x).last_hidden_state
        return hidden[:, -last:] @ self.table().T


class OfTokens(nn.Module):
    """A model with learned embeddings as a function of tokens. They come as float32, like the
    inputs of every task of samples, which holds whole numbers exactly up to 2²⁴."""

    def __init__(self, model: LearnedWindowGPT):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model.of_tokens(x.long())
