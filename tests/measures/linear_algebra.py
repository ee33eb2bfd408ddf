"""Compute exact norms of layers from their dense matrices, slopes between pairs of inputs, and
certified bounds of models that must have one."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from harness.measures.lipschitz_upper import upper


def bound(module: nn.Module, *input_shape: int) -> float:
    """Return the certified bound. Fail when there is none, or when it is loose."""
    certified = upper(module, input_shape)
    assert certified.product is not None and certified.note is None
    assert certified.residual <= 1e-5
    return certified.product


def dense(layer: nn.Module, *input_shape: int) -> Tensor:
    """Return the (outputs, inputs) matrix of an affine layer in float64: its outputs at unit
    impulses less its output at zero."""
    layer = layer.double()
    impulses = torch.eye(math.prod(input_shape), dtype=torch.float64).reshape(-1, *input_shape)
    origin = torch.zeros(1, *input_shape, dtype=torch.float64)
    with torch.no_grad():
        return (layer(impulses) - layer(origin)).flatten(1).T


def exact_norm(layer: nn.Module, *input_shape: int) -> float:
    return float(torch.linalg.matrix_norm(dense(layer, *input_shape), ord=2))


def largest_quotient(model: Callable[[Tensor], Tensor], u: Tensor, v: Tensor) -> float:
    """Return the largest ‖f(u) − f(v)‖ / ‖u − v‖ over pairs of rows."""
    with torch.no_grad():
        change = (model(u) - model(v)).flatten(1).norm(dim=1)
    return float((change / (u - v).flatten(1).norm(dim=1)).max())
