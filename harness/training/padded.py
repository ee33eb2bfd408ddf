"""Tensors of several models in one: each padded with zeros to the largest shape, then stacked along
a first dimension."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn


class PaddedStack:
    """What every kind of stack shares: the models, and their tensors padded and stacked."""

    def __init__(
        self,
        modules: Sequence[nn.Module],
        widest: nn.Module,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
    ):
        """`widest` is the model that has the padded shapes; `parameters` are the trainable ones;
        `buffers` are frozen parameters and buffers. All tensors are (M, *padded shape)."""
        self.modules = list(modules)
        self.widest = widest
        self.parameters = parameters
        self.buffers = buffers

    def take(self, models: Sequence[int]) -> Self:
        """Return a stack of some of the models, with copies of their weights."""
        device = next(iter(self.parameters.values())).device
        index = torch.tensor(list(models), device=device)
        parameters = {
            name: tensor.detach()[index].requires_grad_()
            for name, tensor in self.parameters.items()
        }
        buffers = {name: tensor[index] for name, tensor in self.buffers.items()}
        return type(self)([self.modules[m] for m in models], self.widest, parameters, buffers)

    @torch.no_grad()
    def unstack(self, model: int) -> nn.Module:
        """Write one model's current weights into its module, and return the module."""
        module = self.modules[model]
        for name, own in module.named_parameters():
            if own.requires_grad:
                own.copy_(self.parameters[name][model][corner(own)])
        return module


def pad_and_stack(tensors: list[Tensor]) -> Tensor:
    """Return (M, *largest shape): each tensor in the corner of its slice, zeros beyond.

    Raise IndexError when the tensors have different numbers of dimensions.
    """
    if len({tensor.dim() for tensor in tensors}) > 1:
        raise IndexError("numbers of dimensions")

    positions = defaultdict(list)
    for m, tensor in enumerate(tensors):
        positions[tensor.shape].append(m)
    if len(positions) == 1:
        return torch.stack(tensors)

    largest = [max(sizes) for sizes in zip(*positions, strict=True)]
    stacked = tensors[0].new_zeros(len(tensors), *largest)
    for models in positions.values():
        part = corner(tensors[models[0]])
        stacked[(models, *part)] = torch.stack([tensors[m] for m in models])
    return stacked


def corner(tensor: Tensor) -> tuple[slice, ...]:
    """Return the part of a padded tensor that an unpadded one fills."""
    return tuple(slice(size) for size in tensor.shape)
