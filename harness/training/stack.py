"""Several models of one family as one program: parameters stacked along a first dimension, matmuls
batched.

    program = stack([mlp(784, 4), mlp(784, 8), mlp(784, 8)], probe)
    program(x)  # x: (1, B, 1, 28, 28), shared, or (3, B, 1, 28, 28) → (3, B, outputs)

Models of different widths are padded with zeros to the widest. Padding is exact where a zero unit
stays zero and passes nothing on, as in ReLU networks, MLPs and CNNs alike. This is tested, not
assumed: `check_stacking` compares the outputs with those of the models by themselves, looks for a
gradient in the padding, and raises `CannotStack` with the reason.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from harness.training.alone import Alone
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

    _require_same_structure(modules)
    try:
        program = _stacked(modules)
        check_stacking(program, modules, probe)
    except CannotStack:
        raise
    except Exception as e:  # torch.func raises many types for a model that it cannot vectorise
        first_line = str(e).splitlines()[0] if str(e) else ""
        raise CannotStack(f"{type(e).__name__}: {first_line[:200]}") from None
    return program


def _require_same_structure(modules: Sequence[nn.Module]) -> None:
    """Raise CannotStack unless all models have the same modules and train the same parameters."""
    kinds = {tuple((name, type(m)) for name, m in module.named_modules()) for module in modules}
    if len(kinds) > 1:
        raise CannotStack("the models' modules differ")

    trained = {
        tuple((name, p.requires_grad) for name, p in module.named_parameters())
        for module in modules
    }
    if len(trained) > 1:
        raise CannotStack("the models' parameters differ, or which of them are trained")


def _stacked(modules: Sequence[nn.Module]) -> LayerStack | VmapStack:
    """Return the models as a stack that has not been tested yet."""
    by_model = [{**dict(m.named_parameters()), **dict(m.named_buffers())} for m in modules]
    tensors = {
        name: pad_and_stack([named[name].detach() for named in by_model]) for name in by_model[0]
    }
    parameters = {
        name: tensors.pop(name).requires_grad_()
        for name, p in modules[0].named_parameters()
        if p.requires_grad
    }
    kind = LayerStack if is_chain(modules[0]) else VmapStack
    widest = max(modules, key=_size)
    return kind(modules, widest, parameters, tensors)


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
