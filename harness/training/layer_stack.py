"""Models that are chains of linear layers and functions of single numbers, such as MLPs, as one
program of batched matmuls.

The first layer of all models that share a batch is one matmul; later layers are one batched matmul
each.
"""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from harness.training.padded import PaddedStack
from harness.training.program import FirstLayer, Model, scale_inputs

ELEMENTWISE = (
    nn.Identity,
    nn.ReLU,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.Softplus,
)
"""Modules that act on each number by itself. Other modules declare this by the attribute
`elementwise = True`."""


class LayerStack(PaddedStack):
    """A stack of models for which `is_chain` holds."""

    def __init__(
        self,
        modules: Sequence[nn.Module],
        widest: nn.Module,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
    ):
        super().__init__(modules, widest, parameters, buffers)
        self.layers = list(layers_of(widest))

    @property
    def skeleton(self) -> nn.Module:
        """Return the widest model, whose layers are called."""
        return self.widest

    def __call__(self, x: Tensor) -> Tensor:
        """Map (G, B, *input_shape), one batch per group, to (M, B, outputs)."""
        models = len(self.modules)
        groups = len(x)

        h = x
        for name, layer in self.layers:
            if isinstance(layer, nn.Flatten):
                h = h.flatten(2)
            elif isinstance(layer, nn.Linear):
                h = self._linear(h, name, layer, groups)
            else:
                h = layer(h)

        if len(h) == models:
            return h
        # No linear layer: every model of a group is the same function of its batch.
        return h.repeat_interleave(models // groups, 0)

    def of_inputs(self, unit: Tensor | None = None) -> Model:
        """Return the models as a function of inputs (M, B, *input_shape) times `unit` (M,)."""
        first = self.first_layer(unit)
        if first is None:
            return scale_inputs(self, unit)

        def forward(x: Tensor) -> Tensor:
            return first.rest(torch.baddbmm(first.bias, x.flatten(2), first.weight))

        return forward

    @torch.no_grad()
    def first_layer(self, unit: Tensor | None = None) -> FirstLayer | None:
        """Return the models split after their first linear layer; None where a layer that is not
        affine comes before it.

        Its weights absorb `unit` and the earlier layers that declare `affine`: in a small model
        each of these layers would take longer than a matmul.
        """
        position = self._first_linear()
        if position is None:
            return None
        name, linear = self.layers[position]
        weight = self._tensor(name, "weight")
        bias = 0.0 if linear.bias is None else self._tensor(name, "bias")

        # The layer's input is slope · x + shift, one pair of numbers per model.
        slope = weight.new_ones(len(weight)) if unit is None else unit
        shift = weight.new_zeros(len(weight))
        for _, layer in self.layers[:position]:
            if hasattr(layer, "affine"):
                a, b = cast(tuple[float, float], layer.affine)
                slope = a * slope
                shift = a * shift + b

        rest = LayerStack(self.modules, self.widest, self.parameters, self.buffers)
        rest.layers = self.layers[position + 1 :]
        return FirstLayer(
            weight=(weight * slope[:, None, None]).mT,
            bias=(bias + shift[:, None] * weight.sum(2))[:, None],
            rest=rest,
        )

    def train(self, mode: bool) -> None:
        """Do nothing: these layers are the same in both modes."""

    def _linear(self, h: Tensor, name: str, layer: nn.Linear, groups: int) -> Tensor:
        """Apply a linear layer: its input is (G, B, in) before the first one, (M, B, in) after."""
        weight = self._tensor(name, "weight")
        bias = None if layer.bias is None else self._tensor(name, "bias")
        if len(h) == len(self.modules):
            return _linear_of_each(h, weight, bias)

        weight = weight.unflatten(0, (groups, -1))
        if bias is not None:
            bias = bias.unflatten(0, (groups, -1))
        return _linear_of_groups(h, weight, bias)

    def _first_linear(self) -> int | None:
        """Return the position of the first linear layer, if all layers before it are affine."""
        for position, (_, layer) in enumerate(self.layers):
            if isinstance(layer, nn.Linear):
                return position
            if not isinstance(layer, (nn.Flatten, nn.Identity)) and not hasattr(layer, "affine"):
                return None
        return None

    def _tensor(self, layer: str, tensor: str) -> Tensor:
        name = f"{layer}.{tensor}" if layer else tensor
        return self.parameters[name] if name in self.parameters else self.buffers[name]


def _linear_of_each(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Map (M, B, in) through weights (M, out, in) to (M, B, out).

    Written as weight · xᵀ so that the weight's gradient is contiguous.
    """
    if bias is None:
        return (weight @ x.mT).mT
    return torch.baddbmm(bias[:, :, None], weight, x.mT).mT


def _linear_of_groups(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Map (G, B, in) through weights (G, S, out, in), one matmul per group, to (G·S, B, out)."""
    columns = weight.flatten(1, 2).mT
    if bias is None:
        h = x @ columns
    else:
        h = torch.baddbmm(bias.flatten(1)[:, None], x, columns)
    return h.unflatten(2, weight.shape[1:3]).transpose(1, 2).flatten(0, 1)


def is_chain(module: nn.Module) -> bool:
    """Return whether a model is nothing but linear layers and functions of single numbers, one
    after another, without buffers or tied parameters."""
    has_buffers = any(True for _ in module.buffers())
    mentions = list(module.named_parameters(remove_duplicate=False))
    is_tied = len(mentions) > len(list(module.parameters()))
    if has_buffers or is_tied:
        return False
    return all(
        type(layer) is nn.Linear or _flattens(layer) or _is_elementwise(layer)
        for _, layer in layers_of(module)
    )


def layers_of(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules of nested nn.Sequential in the order of their calls, with their names."""
    if type(module) is not nn.Sequential:
        yield prefix, module
        return
    for name, child in module.named_modules(remove_duplicate=False):
        is_direct_child = bool(name) and "." not in name
        if is_direct_child:
            yield from layers_of(child, f"{prefix}.{name}" if prefix else name)


def _is_elementwise(layer: nn.Module) -> bool:
    """Return whether a layer acts on each number separately and is the same in every model. A layer
    with its own parameters is not."""
    if any(True for _ in layer.parameters()):
        return False
    return type(layer) in ELEMENTWISE or getattr(layer, "elementwise", False)


def _flattens(layer: nn.Module) -> bool:
    return type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) == (1, -1)
