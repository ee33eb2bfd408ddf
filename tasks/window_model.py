"""The frame of a transformer on windows of embedded tokens: a learned projection, the transformer's
blocks, and a head.

The projection takes the place of the token embedding, so inputs lie in the same space at every
width. tasks/gpt.py and tasks/llama.py bring the blocks.
"""

import abc
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedConfig, PreTrainedModel

from harness.language import transformer_group


def plain_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: None,
    scaling: float,
    **rest: Any,
) -> tuple[Tensor, None]:
    """Attend by matmuls, from query, key and value (B, heads, T, size) to (B, T, heads, size), with
    the causal mask alone. torch.func cannot vectorise the CPU's fused kernel, and models of windows
    train in a stack."""
    q = query.flatten(0, 1)
    k = key.flatten(0, 1)
    v = value.flatten(0, 1)
    above = torch.full((q.shape[1], q.shape[1]), -torch.inf, dtype=q.dtype, device=q.device).triu(1)
    shares = torch.baddbmm(above, q, k.mT, alpha=scaling).softmax(-1)
    return (shares @ v).unflatten(0, query.shape[:2]).transpose(1, 2), None


PLAIN_ATTENTION = "plain_causal"
"""The name under which transformers knows it."""
AttentionInterface.register(PLAIN_ATTENTION, plain_attention)


class WindowModel(nn.Module, abc.ABC):
    """Map windows of embedded tokens (B, context, d_in) to the (B, vocabulary) logits after the
    last token. Subclasses say which transformer of transformers stands in between."""

    body_class: ClassVar[type[PreTrainedModel]]
    table: ClassVar[str]
    """The name of the body's token table, which is built and then removed."""

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
        """targets: the last so many positions are trained on."""
        super().__init__()
        config = self.config(layers, width, heads, context)
        config._attn_implementation = PLAIN_ATTENTION
        # No bias: a model with position embeddings has a learned vector there already.
        self.projection = nn.Linear(d_in, width, bias=False)
        self.body = self.body_class(config)
        setattr(self.body, self.table, None)
        self.head = nn.Linear(width, vocabulary, bias=False)
        for layer in (self.projection, self.head):
            nn.init.normal_(layer.weight, std=config.initializer_range)
        self.targets = targets

    @abc.abstractmethod
    def config(self, layers: int, width: int, heads: int, context: int) -> PreTrainedConfig:
        """Return the body's configuration, with a vocabulary of 1, which keeps its table small."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self._hidden(x)[:, -1])

    def at_targets(self, x: Tensor) -> Tensor:
        """Return (B, targets, vocabulary) logits at the positions that are trained on."""
        return self.head(self._hidden(x)[:, -self.targets :])

    def for_training(self) -> nn.Module:
        """Return the module that is trained, with this one's weights."""
        return self if self.targets == 1 else AtTargets(self)

    def group_of(self, parameter: str) -> str:
        """Return the group that a parameter counts in; the projection counts as the embedding."""
        return transformer_group(parameter)

    def _hidden(self, x: Tensor) -> Tensor:
        return self.body(inputs_embeds=self.projection(x)).last_hidden_state


class AtTargets(nn.Module):
    """A window model with its logits at every target, (B, targets, vocabulary)."""

    def __init__(self, model: WindowModel):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model.at_targets(x)
