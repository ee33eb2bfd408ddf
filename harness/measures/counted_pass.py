"""One forward and backward pass of a model, counted: FLOPs, and bytes kept in between. Works on the
meta device, where a model of any size takes no memory.

A sweep of tens of thousands of widths counts as many models. On the meta device most of that time
goes into torch's own shape functions, which are written in Python, so the commonest operations get
their result's shape here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

aten = torch.ops.aten

FORMULAS = FlopCounterMode(display=False).flop_registry
"""The FLOPs of an operation by its arguments: matmuls, convolutions and attention."""


class PassCosts(NamedTuple):
    """What one sample costs."""

    outputs: int
    """The size of the last dimension of the model's output."""
    flops: int
    """Forward and backward."""
    saved_bytes: int
    """Bytes that autograd keeps between forward and backward, without the parameters."""


def count_pass(
    model: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype = torch.float32
) -> PassCosts:
    """Return what one forward and backward pass costs per sample.

    The counts at batch sizes 4 and 2 are subtracted, which drops work done once per batch. FLOPs
    are those of torch's FlopCounterMode (tests/measures/test_counted_pass.py). No gradient stays.
    """
    x = torch.zeros(4, *input_shape, device=next(model.parameters()).device, dtype=dtype)
    four, two = _count(model, x), _count(model, x[:2])

    return PassCosts(
        outputs=four.outputs,
        flops=(four.flops - two.flops) // 2,
        saved_bytes=(four.saved_bytes - two.saved_bytes) // 2,
    )


def _count(model: nn.Module, x: Tensor) -> PassCosts:
    """Run the batch through the model and back, and count."""
    on_meta = x.is_meta

    def address(t: Tensor) -> int:
        return id(t) if on_meta else t.data_ptr()

    weights = {address(p) for p in model.parameters()}
    kept: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        if address(t) not in weights and not isinstance(t, nn.Parameter):
            kept[id(t)] = t.numel() * t.element_size()
        return t

    with _Counting() as counting:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            output = model(x)
        saved_bytes = sum(kept.values())

        output.sum().backward()
    model.zero_grad(set_to_none=True)
    return PassCosts(output.shape[-1], counting.flops, saved_bytes)


class _Counting(TorchDispatchMode):
    """Adds up the FLOPs of all operations inside the block, and spares those on the meta device
    torch's shape functions where SHAPES has one."""

    supports_higher_order_operators = True

    def __init__(self):
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if isinstance(func, HigherOrderOperator):  # torch.cond, say, which torch alone can count
            with FlopCounterMode(display=False) as counter:
                result = func(*args, **kwargs)
            self.flops += counter.get_total_flops()
            return result

        shape_of = SHAPES.get(func)
        result = shape_of(*args, **kwargs) if shape_of and _are_plain(args) else None
        if result is None:
            result = func(*args, **kwargs)

        formula = FORMULAS.get(func._overloadpacket)
        if formula:
            self.flops += formula(*args, **kwargs, out_val=result)
        return result


# Shapes of results. Each function returns None where torch itself must say what comes out, or why
# nothing can.


def _are_plain(args: tuple[Any, ...]) -> bool:
    """Return whether all tensors among the arguments are on the meta device and of 32-bit floats,
    so that the result is."""
    return all(
        arg.is_meta and arg.dtype is torch.float32 for arg in args if isinstance(arg, Tensor)
    )


def _of(*sizes: int) -> Tensor:
    return torch.empty(sizes, device="meta")


def _mm(a: Tensor, b: Tensor) -> Tensor | None:
    return _of(a.shape[0], b.shape[1]) if a.shape[1] == b.shape[0] else None


def _addmm(bias: Tensor, a: Tensor, b: Tensor, **_: Any) -> Tensor | None:
    return _mm(a, b) if bias.shape == b.shape[1:] else None


def _elementwise(x: Tensor, *others: Any, **_: Any) -> Tensor | None:
    """An operation on each element, of tensors of one shape or with numbers."""
    tensors = [x, *(other for other in others if isinstance(other, Tensor))]
    if all(t.shape == x.shape and t.is_contiguous() for t in tensors):
        return _of(*x.shape)
    return None


def _sum(x: Tensor, dims: Any = None, keepdim: bool = False, **changed: Any) -> Tensor | None:
    if changed or not dims:
        return None
    summed = {dim % x.ndim for dim in dims}
    if keepdim:
        return _of(*(1 if k in summed else size for k, size in enumerate(x.shape)))
    return _of(*(size for k, size in enumerate(x.shape) if k not in summed))


def _layer_norm(
    x: Tensor, over: list[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor] | None:
    """The normalised inputs, their means and their reciprocal deviations."""
    per_vector = [*x.shape[: x.ndim - len(over)], *[1] * len(over)]
    if not x.is_contiguous() or list(x.shape[x.ndim - len(over) :]) != list(over):
        return None
    return _of(*x.shape), _of(*per_vector), _of(*per_vector)


def _layer_norm_backward(
    gradient: Tensor,
    x: Tensor,
    over: list[int],
    mean: Tensor,
    deviation: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    wanted: list[bool],
) -> tuple[Tensor, Tensor, Tensor] | None:
    """The gradients of inputs, weight and bias."""
    if weight is None or bias is None or not all(wanted) or not x.is_contiguous():
        return None
    return _of(*x.shape), _of(*weight.shape), _of(*bias.shape)


SHAPES: dict[Any, Callable[..., Any]] = {
    aten.mm.default: _mm,
    aten.addmm.default: _addmm,
    aten.sum.dim_IntList: _sum,
    aten.native_layer_norm.default: _layer_norm,
    aten.native_layer_norm_backward.default: _layer_norm_backward,
} | dict.fromkeys(
    [
        aten.add.Tensor,
        aten.mul.Tensor,
        aten.relu.default,
        aten.threshold_backward.default,
        aten.gelu.default,
        aten.gelu_backward.default,
    ],
    _elementwise,
)
