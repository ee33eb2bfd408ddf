"""Several models of one family as one program: parameters stacked along a first dimension, matmuls
batched.

    program = stack([mlp(784, 4), mlp(784, 8), mlp(784, 8)], probe)
    program(x)  # x: (1, B, 1, 28, 28), shared, or (3, B, 1, 28, 28) → (3, B, outputs)

Models of different widths are padded with zeros to the widest. Padding is exact where a zero unit
stays zero and passes nothing on, as in ReLU networks, MLPs and CNNs alike. This is tested, not
assumed: `check_stacking` compares the outputs with those of the models by themselves, looks for a
gradient in the padding, and raises `CannotStack` with the reason. It tests one model of every kind,
so that a stack of a thousand models takes little longer than copying their weights.
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from harness.training.alone import Alone
from harness.training.anatomy import Anatomy, anatomy
from harness.training.layer_stack import ELEMENTWISE, LayerStack, is_chain
from harness.training.padded import pad_and_stack
from harness.training.program import CannotStack, FirstLayer, Model, Program, flat
from harness.training.stack_check import check_stacking
from harness.training.vmap_stack import VmapStack

__all__ = [
    "ELEMENTWISE",
    "Alone",
    "CannotStack",
    "FirstLayer",
    "LayerStack",
    "Model",
    "Program",
    "VmapStack",
    "flat",
    "stack",
]


def stack(modules: Sequence[nn.Module], probe: Tensor) -> Program:
    """Return the models as one program, on their own device.

    probe: (B, *input_shape), the inputs on which stacking is tested.

    Raise CannotStack when the models differ in structure, or when stacking or padding changes what
    they compute.
    """
    if len(modules) == 1:
        return Alone(modules[0])

    anatomies = [anatomy(module) for module in modules]
    if len({one.structure for one in anatomies}) > 1:
        raise CannotStack(_difference(anatomies))

    try:
        program = _stacked(modules, anatomies)
        check_stacking(program, modules, anatomies, probe)
    except CannotStack:
        raise
    except Exception as e:  # torch.func raises many types for a model that it cannot vectorise
        first_line = str(e).splitlines()[0] if str(e) else ""
        raise CannotStack(f"{type(e).__name__}: {first_line[:200]}") from None
    return program


def _difference(anatomies: Sequence[Anatomy]) -> str:
    """Say what differs between the structures of the models."""
    if len({one.modules for one in anatomies}) > 1:
        return "the models' modules differ"
    return "the models' parameters differ, or which of them are trained"


def _stacked(modules: Sequence[nn.Module], anatomies: Sequence[Anatomy]) -> LayerStack | VmapStack:
    """Return the models as a stack that has not been tested yet."""
    first = anatomies[0]
    tensors = {
        name: pad_and_stack([one.parameters[name] for one in anatomies])
        for name in first.parameters
    }
    for name in first.buffers:
        tensors[name] = pad_and_stack([one.buffers[name] for one in anatomies])

    parameters = {
        name: tensors.pop(name).requires_grad_()
        for name, p in first.parameters.items()
        if p.requires_grad
    }
    kind = LayerStack if is_chain(modules[0]) else VmapStack
    sizes = [sum(map(math.prod, one.shapes)) for one in anatomies]
    widest = modules[sizes.index(max(sizes))]
    return kind(modules, widest, parameters, tensors)
