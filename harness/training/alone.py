"""One model as a program by itself."""

import copy
from collections.abc import Sequence

from torch import Tensor, nn

from harness.training.layer_stack import LayerStack, is_chain
from harness.training.program import FirstLayer, Model, scale_inputs


class Alone:
    """One module of any kind, called as it is. Its parameters have no extra dimension."""

    def __init__(self, module: nn.Module):
        self.module = module
        self.parameters: dict[str, Tensor] = {
            name: p for name, p in module.named_parameters() if p.requires_grad
        }

    @property
    def buffers(self) -> dict[str, Tensor]:
        """Return the buffers as they are now: a module may replace its tensors."""
        return dict(self.module.named_buffers())

    @property
    def skeleton(self) -> nn.Module:
        """Return the module itself."""
        return self.module

    def __call__(self, x: Tensor) -> Tensor:
        """Map (1, B, *input_shape) to (1, B, outputs)."""
        return self.module(x[0])[None]

    def take(self, models: Sequence[int]) -> "Alone":
        """Return a copy. The only model to take is number 0."""
        return Alone(copy.deepcopy(self.module))

    def unstack(self, model: int) -> nn.Module:
        """Return the module itself."""
        return self.module

    def of_inputs(self, unit: Tensor | None = None) -> Model:
        """Return the model as a function of inputs (1, B, *input_shape) times `unit` (1,)."""
        return scale_inputs(self, unit)

    def first_layer(self, unit: Tensor | None = None) -> FirstLayer | None:
        """Return the model split after its first linear layer; None where the model is no chain of
        layers, or begins with another layer."""
        if not is_chain(self.module):
            return None
        tensors = {name: p.detach()[None] for name, p in self.module.named_parameters()}
        return LayerStack([self.module], self.module, tensors, {}).first_layer(unit)

    def train(self, mode: bool) -> None:
        """Switch to training mode, or to evaluation mode."""
        self.module.train(mode)
