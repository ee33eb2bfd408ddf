"""Check that stacking is exact: every model computes what it does by itself, and no padding is ever
trained.

The check runs a few models, of which every other one is a copy with other weights. The guarantee:

- Models whose modules, attributes and shapes are equal are one function of their weights, so one of
  them is checked. An attribute that is no number, text or type, and no list, tuple or dictionary of
  these, counts as equal only where it is the same object.
- In a chain of linear layers and functions of single numbers, padding is exact whatever the widths,
  if each function maps 0 to 0. So widths do not make a kind of their own there: the narrowest model
  of each layer is checked, and one of every pair of numbers of inputs and outputs.
- The first and the last model are always checked.

What a model's code does beyond its modules, such as reading a global variable, is not seen. Each
model must run by itself, which planning has seen.
"""

import copy
from collections.abc import Hashable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from harness.training.anatomy import Anatomy
from harness.training.layer_stack import LayerStack
from harness.training.padded import corner
from harness.training.program import CannotStack
from harness.training.vmap_stack import VmapStack

AGREEMENT = 1e-4
"""Relative difference between a stacked and a plain output that counts as rounding."""

Corners = list[dict[str, tuple[slice, ...]]]
"""Per model, the part of each padded parameter that belongs to it."""


def check_stacking(
    program: LayerStack | VmapStack,
    modules: Sequence[nn.Module],
    anatomies: Sequence[Anatomy],
    probe: Tensor,
) -> None:
    """Raise CannotStack unless every model computes in the stack what it does by itself, and no
    padding gets a gradient.

    The check moves the weights of a copy a little at random, because at its first weights a model
    can hide a difference, for example behind a last layer of zeros.
    """
    _check_buffers(modules[0], probe)

    sample = models_to_check(anatomies, is_chain=isinstance(program, LayerStack))
    checked = program.take(sample)
    corners: Corners = [
        {name: corner(anatomies[m].parameters[name]) for name in checked.parameters} for m in sample
    ]
    _move_weights(checked, corners)

    checked.train(True)
    outputs = checked(probe[None])
    for slot, m in enumerate(sample):
        weights = {
            name: checked.parameters[name][slot][part] for name, part in corners[slot].items()
        }
        _check_outputs(outputs[slot], modules[m], weights, probe)
    _check_padding(outputs, checked, corners)


def models_to_check(anatomies: Sequence[Anatomy], is_chain: bool) -> list[int]:
    """Return the numbers of the models to check, in order: at least two of them."""
    first_of_kind: dict[Hashable, int] = {}
    for m, one in enumerate(anatomies):
        shapes = one.shapes
        sizes = (shapes[0][-1], shapes[-1][0]) if is_chain else shapes
        first_of_kind.setdefault((one.attributes, sizes), m)
    sample = {0, len(anatomies) - 1, *first_of_kind.values()}

    if is_chain:
        for of_models in zip(*(one.shapes for one in anatomies), strict=True):
            widths = [shape[0] for shape in of_models]
            sample.add(widths.index(min(widths)))
    return sorted(sample)


def _check_buffers(module: nn.Module, probe: Tensor) -> None:
    """Raise CannotStack when a training step of the model changes one of its buffers."""
    trained = copy.deepcopy(module).train()
    trained(probe)
    for after, before in zip(trained.buffers(), module.buffers(), strict=True):
        if not torch.equal(after, before):
            raise CannotStack("a buffer changes in training")


@torch.no_grad()
def _move_weights(program: LayerStack | VmapStack, corners: Corners) -> None:
    """Move every weight at random by about a tenth of itself."""
    draw = torch.Generator().manual_seed(0)
    for name, p in program.parameters.items():
        draws = torch.randn(p.shape, generator=draw).to(p)
        for slot, corner_of in enumerate(corners):
            weight = p[slot][corner_of[name]]
            own_draw = draws[slot][corner_of[name]]
            weight += 0.1 * own_draw * weight.abs() + 0.01 * own_draw


def _check_outputs(
    stacked: Tensor, module: nn.Module, weights: dict[str, Tensor], probe: Tensor
) -> None:
    """Raise CannotStack when a model's outputs in the stack, (B, outputs), are not those of its
    module by itself."""
    with torch.no_grad():
        own = functional_call(module.train(), weights, (probe,))
    if own.shape != stacked.shape:
        raise CannotStack(
            f"a model's outputs have shape {tuple(own.shape)} and in the stack"
            f" {tuple(stacked.shape)}"
        )
    if not _agree(stacked.detach(), own):
        raise CannotStack("in the stack a model is another function than alone")


def _agree(stacked: Tensor, own: Tensor) -> bool:
    if not bool(own.isfinite().all()):
        return False
    difference = float((stacked - own).abs().max())
    return difference <= AGREEMENT * max(1.0, float(own.abs().max()))


def _check_padding(outputs: Tensor, program: LayerStack | VmapStack, corners: Corners) -> None:
    """Raise CannotStack when the padding of any model gets a gradient."""
    gradients = torch.autograd.grad(
        outputs.square().sum(), list(program.parameters.values()), materialize_grads=True
    )
    for name, gradient in zip(program.parameters, gradients, strict=True):
        beyond = gradient.clone()
        for m, corner_of in enumerate(corners):
            beyond[m][corner_of[name]] = 0
        if bool(beyond.any()):
            raise CannotStack("the padding of a narrower model would be trained")
