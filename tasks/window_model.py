"""The frame of a transformer on windows of embedded tokens: a learned projection, the transformer's
blocks, and a head.

The projection takes the place of the token embedding, so inputs lie in the same space at every
width. tasks/gpt.py and tasks/llama.py bring the blocks.
"""

from collections.abc import Callable

from torch import Tensor, nn

from harness.language import transformer_group


class WindowModel(nn.Module):
    """Map windows of embedded tokens (B, context, d_in) to the (B, vocabulary) logits after the
    last token."""

    def __init__(
        self,
        body: Callable[[], nn.Module],
        d_in: int,
        width: int,
        vocabulary: int,
        std: float,
        targets: int = 1,
    ):
        """body: makes a transformers model of `width`. std: of projection and head at the
        beginning. targets: the last so many positions are trained on."""
        super().__init__()
        # No bias: a model with position embeddings has a learned vector there already.
        self.projection = nn.Linear(d_in, width, bias=False)
        self.body = body()
        self.head = nn.Linear(width, vocabulary, bias=False)
        for layer in (self.projection, self.head):
            nn.init.normal_(layer.weight, std=std)
        self.targets = targets

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
