"""Give the Lipschitz constant of one layer in ℓ2, in evaluation mode: exact, or an upper bound.

- Linear layers: the largest singular value, from all eigenvalues of the smaller Gram matrix.
- Convolutions and average pooling: the norm of the linear map at its actual input size.
- Max pooling: by the number of windows that one input lies in.
- Functions of single numbers: their steepest slope.
- A module that declares `lipschitz: float`: that number. This is how a custom layer takes part. The
  attribute (or property) is its Lipschitz constant in ℓ2 from input to output in evaluation mode,
  finite and not negative.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from harness.measures.linear_map_norm import (
    Constant,
    Convolution,
    largest_singular_value,
    linear_map_norm,
    torus_bound,
)

Rule = Callable[[Any, Tensor], Constant]
"""The constant of a layer, from the layer and an input (1, …) of the shape that the layer sees."""


def has_constant(layer: nn.Module) -> bool:
    """Return whether a bound is known for this kind of layer."""
    return _rule(layer) is not None


def constant_of(layer: nn.Module, x: Tensor) -> Constant:
    """Return the constant of a layer that has one; x is an input (1, …) of the shape that the layer
    sees."""
    rule = _rule(layer)
    if rule is None:
        raise TypeError(f"no bound is known for {type(layer).__name__}")
    return rule(layer, x)


def _rule(layer: nn.Module) -> Rule | None:
    if hasattr(layer, "lipschitz"):
        return _declared
    return next((rule for kind, rule in RULES.items() if runs_as(layer, kind)), None)


def runs_as(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Return whether a module computes what its base class `kind` does: a subclass may have another
    forward, and hooks may change anything."""
    hooks = module._forward_hooks or module._forward_pre_hooks
    return isinstance(module, kind) and type(module).forward is kind.forward and not hooks


def is_dropout(layer: nn.Module) -> bool:
    """Return whether a layer is dropout, which is the identity in evaluation mode."""
    return _rule(layer) is _dropout


def _declared(layer: Any, x: Tensor) -> Constant:
    return Constant(float(layer.lipschitz))


def _linear(layer: nn.Linear, x: Tensor) -> Constant:
    return Constant(largest_singular_value(layer.weight.cpu()))


def _convolution(layer: Convolution, x: Tensor) -> Constant:
    """Take the norm of the layer's own code in float64 and without bias: any stride, padding,
    dilation and groups."""
    weight = layer.weight.detach().double().cpu()
    scale = float(weight.abs().max())
    if scale == 0:
        return Constant(0.0)
    weight = weight / scale
    # Paddings other than zeros repeat inputs, and are no restriction of a torus.
    most = torus_bound(layer, weight, x.shape[2:]) if layer.padding_mode == "zeros" else math.inf
    norm = linear_map_norm(lambda v: layer._conv_forward(v, weight, None), x.shape, most)
    return Constant(scale * norm.value, norm.residual)


def _max_pool(layer: nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d, x: Tensor) -> Constant:
    """Return √m, where m is the most windows that one input lies in: 1 where windows do not
    overlap.

    A maximum moves by no more than the largest change in its window, so the squared changes of all
    outputs sum to at most m times those of the inputs, with equality for an input that is the
    maximum of each of its windows. With stride s and dilation d an input is read by the kernel's
    places j with j·d ≡ its position (mod s): every s/gcd(s, d)-th.
    """

    def by_axis(value: int | tuple[int, ...]) -> tuple[int, ...]:
        return value if isinstance(value, tuple) else (value,) * (x.dim() - 2)

    kernel = by_axis(layer.kernel_size)
    stride = by_axis(layer.stride)
    dilation = by_axis(layer.dilation)
    windows = [
        math.ceil(k * math.gcd(s, d) / s) for k, s, d in zip(kernel, stride, dilation, strict=True)
    ]
    return Constant(math.sqrt(math.prod(windows)))


def _avg_pool(layer: nn.AvgPool1d | nn.AvgPool2d | nn.AvgPool3d, x: Tensor) -> Constant:
    """Return the norm of average pooling, a linear map with entries ≥ 0. By Schur's test its square
    is at most the largest row sum times the largest column sum."""
    ones = torch.ones(x.shape, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        rows = layer(ones)
        (columns,) = torch.autograd.grad(rows.sum(), ones)
    most = math.sqrt(float(rows.detach().max()) * float(columns.max()))
    return linear_map_norm(layer, x.shape, most)


def _reshaping(layer: nn.Flatten | nn.Unflatten, x: Tensor) -> Constant:
    return Constant(1.0)


def _dropout(layer: nn.Module, x: Tensor) -> Constant:
    return Constant(1.0)


def _elementwise(layer: nn.Module, x: Tensor) -> Constant:
    return Constant(next(slope(layer) for kind, slope in SLOPES.items() if runs_as(layer, kind)))


def _gelu(layer: nn.GELU) -> float:
    """Return Φ(√2) + √2·φ(√2) for x·Φ(x), whose slope Φ(x) + x·φ(x) is steepest at √2. For the tanh
    form, return its maximum rounded up."""
    if layer.approximate == "none":
        return 0.5 * (1 + math.erf(1)) + math.exp(-1) / math.sqrt(math.pi)
    return 1.12900


def _softplus(layer: nn.Softplus) -> float:
    """Return 1, unless the threshold beyond which torch returns x itself makes a jump. The jump is
    exp(−threshold)/β, 3e-8/β at 17."""
    return 1.0 if layer.threshold >= 17 else math.inf


SLOPES: dict[type[nn.Module], Callable[[Any], float]] = {
    nn.Identity: lambda layer: 1.0,
    nn.ReLU: lambda layer: 1.0,
    nn.LeakyReLU: lambda layer: max(1.0, abs(layer.negative_slope)),
    nn.ELU: lambda layer: max(1.0, abs(layer.alpha)),
    nn.GELU: _gelu,
    nn.SiLU: lambda layer: 1.09984,  # x·sigmoid(x) is steepest at 2.3994, rounded up
    nn.Tanh: lambda layer: 1.0,
    nn.Sigmoid: lambda layer: 0.25,
    nn.Softplus: _softplus,
}
"""Steepest slopes of functions of single numbers."""

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
AVG_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
DROPOUTS = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)

RULES: dict[type[nn.Module], Rule] = {
    nn.Linear: _linear,
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    **dict.fromkeys(MAX_POOLS, _max_pool),
    **dict.fromkeys(AVG_POOLS, _avg_pool),
    **dict.fromkeys(SLOPES, _elementwise),
    **dict.fromkeys((nn.Flatten, nn.Unflatten), _reshaping),
    **dict.fromkeys(DROPOUTS, _dropout),
}
"""The rule for each kind of layer."""
