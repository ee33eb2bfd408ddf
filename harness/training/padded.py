"""Tensors of several models in one: each padded with zeros to the largest shape, then stacked along
a first dimension."""

import contextlib
import math
import mmap
import sys
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

LARGE_BYTES = 4_000_000
"""Tensors from this size on are given huge pages, of 2 MiB on most machines."""


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


@torch.no_grad()
def pad_and_stack(tensors: list[Tensor]) -> Tensor:
    """Return (M, *largest shape): each tensor in the corner of its slice, zeros beyond.

    Raise IndexError when the tensors have different numbers of dimensions, TypeError when they hold
    different types of numbers.
    """
    shapes = {tensor.shape for tensor in tensors}
    if len({len(shape) for shape in shapes}) > 1:
        raise IndexError("numbers of dimensions")
    if len({tensor.dtype for tensor in tensors}) > 1:
        raise TypeError("the models hold different types of numbers")

    largest = [max(sizes) for sizes in zip(*shapes, strict=True)]
    stacked = _room(len(tensors), largest, tensors[0])
    if len(shapes) == 1:
        return torch.stack(tensors, out=stacked)

    stacked.zero_()
    for place, tensor in zip(stacked.unbind(), tensors, strict=True):
        place[corner(tensor)].copy_(tensor)
    return stacked


def _room(models: int, shape: Sequence[int], like: Tensor) -> Tensor:
    """Return a tensor (M, *shape) of the kind of another one, with any numbers in it.

    On a processor a large one lies in huge pages, where Linux has them. Touching 160 MB for the
    first time takes 50 ms in pages of 4 KiB, and 5 ms in huge ones.
    """
    bytes_needed = models * math.prod(shape) * like.element_size()
    if like.device.type != "cpu" or bytes_needed < LARGE_BYTES or sys.platform != "linux":
        return like.new_empty(models, *shape)

    room = mmap.mmap(-1, bytes_needed, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without them
        room.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(room, dtype=like.dtype).view(models, *shape)


def corner(tensor: Tensor) -> tuple[slice, ...]:
    """Return the part of a padded tensor that an unpadded one fills."""
    return tuple(slice(size) for size in tensor.shape)
