"""The contract of a program: M models that are called, trained and measured at once.

`stack` (harness/training/stack.py) makes one. Models that share their batches form a group; the
models of group g are the ones numbered g·M/G … (g+1)·M/G − 1.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor, nn

Model = Callable[[Tensor], Tensor]
"""Anything that maps (B, *input_shape) to (B, outputs), each sample by itself."""


class CannotStack(Exception):
    """Raised with the reason why models cannot be one program. They then train one by one."""


class FirstLayer(NamedTuple):
    """Models that begin with a linear layer, as functions of inputs x: (M, B, inputs), namely
    rest(x @ weight + bias)."""

    weight: Tensor
    """(M, inputs, width)"""
    bias: Tensor
    """(M, 1, width)"""
    rest: Model
    """Everything after the first layer: (M, B, width) to (M, B, outputs)."""


class Program(Protocol):
    """M models that are called at once."""

    parameters: dict[str, Tensor]
    """The trainable parameters by name, each (M, *shape)."""

    @property
    def buffers(self) -> dict[str, Tensor]:
        """Everything else that the modules hold: frozen parameters and buffers, by name."""
        ...

    @property
    def skeleton(self) -> nn.Module:
        """The module whose forward every call runs."""
        ...

    def __call__(self, x: Tensor) -> Tensor:
        """Map (G, B, *input_shape), one batch per group, to (M, B, outputs)."""
        ...

    def take(self, models: Sequence[int]) -> "Program":
        """Return a program of some of the models, with copies of their weights."""
        ...

    def unstack(self, model: int) -> nn.Module:
        """Return the module that one model was made from, with the current weights."""
        ...

    def of_inputs(self, unit: Tensor | None = None) -> Model:
        """Return the models as a function of inputs (M, B, *input_shape), at the current weights.

        unit: (M,), a factor per model by which its inputs are multiplied first.
        """
        ...

    def first_layer(self, unit: Tensor | None = None) -> FirstLayer | None:
        """Return this function of flattened inputs as a first linear layer and the rest; None where
        the models begin with another layer."""
        ...

    def train(self, mode: bool) -> None:
        """Switch to training mode, or to evaluation mode."""
        ...


def for_training(model: nn.Module) -> nn.Module:
    """Return the module that is trained: `model.for_training()` where a sample has several targets,
    with the same weights; otherwise the model itself."""
    several = getattr(model, "for_training", None)
    return several() if several else model


def flat(program: Model, models: int) -> Model:
    """Return the program as a function of (M·B, …) instead of (M, B, …)."""

    def of_flat_inputs(z: Tensor) -> Tensor:
        return program(z.unflatten(0, (models, -1))).flatten(0, 1)

    return of_flat_inputs


def scale_inputs(program: Model, unit: Tensor | None) -> Model:
    """Return the program as a function of inputs that are multiplied by `unit` (M,) first."""
    if unit is None:
        return program

    def of_scaled_inputs(x: Tensor) -> Tensor:
        return program(x * unit.reshape(-1, *[1] * (x.dim() - 1)))

    return of_scaled_inputs
