"""Check that stacking is exact: every model computes what it does by itself, and no padding is ever
trained."""

import contextlib
import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from harness.training.layer_stack import LayerStack
from harness.training.padded import corner
from harness.training.program import CannotStack
from harness.training.vmap_stack import VmapStack

AGREEMENT = 1e-4
"""Relative difference between a stacked and a plain output that counts as rounding."""

Corners = list[dict[str, tuple[slice, ...]]]
"""Per model, the part of each padded parameter that belongs to it."""


def check_stacking(
    program: LayerStack | VmapStack, modules: Sequence[nn.Module], probe: Tensor
) -> None:
    """Raise CannotStack unless every model computes in the stack what it does by itself, and no
    padding gets a gradient.

    The check moves all weights a little at random, because at its first weights a model can hide a
    difference, for example behind a last layer of zeros. The weights are restored.
    """
    _check_buffers(modules[0], probe)

    corners: Corners = [
        {name: corner(p) for name, p in module.named_parameters() if p.requires_grad}
        for module in modules
    ]
    with _moved_weights(program, corners):
        program.train(True)
        outputs = program(probe[None])
        for m, module in enumerate(modules):
            weights = {name: program.parameters[name][m][part] for name, part in corners[m].items()}
            _check_outputs(outputs[m], module, weights, probe)
        _check_padding(outputs, program, corners)


def _check_buffers(module: nn.Module, probe: Tensor) -> None:
    """Raise CannotStack when a training step of the model changes one of its buffers."""
    trained = copy.deepcopy(module).train()
    trained(probe)
    for after, before in zip(trained.buffers(), module.buffers(), strict=True):
        if not torch.equal(after, before):
            raise CannotStack("a buffer changes in training")


@contextlib.contextmanager
def _moved_weights(program: LayerStack | VmapStack, corners: Corners) -> Iterator[None]:
    """Move every weight at random by about a tenth of itself, and restore all weights at the
    end."""
    first_weights = {name: p.detach().clone() for name, p in program.parameters.items()}
    try:
        with torch.no_grad():
            for name, p in program.parameters.items():
                draw = torch.randn(p.shape, generator=torch.Generator().manual_seed(0)).to(p)
                for m, corner_of in enumerate(corners):
                    weight = p[m][corner_of[name]]
                    own_draw = draw[m][corner_of[name]]
                    weight += 0.1 * own_draw * weight.abs() + 0.01 * own_draw
        yield
    finally:
        with torch.no_grad():
            for name, p in program.parameters.items():
                p.copy_(first_weights[name])


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
