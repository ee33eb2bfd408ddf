"""Certify a tighter upper bound on the Lipschitz constant of a fully connected network, layer after
layer: ECLipsE-Fast (Xu & Sivaranjani 2024, arXiv 2404.04375).

Take any two inputs and follow the change Δ between them through the layers. Suppose that after a
linear layer ‖Δx‖² ≥ Δzᵀ C⁻¹ Δz, and let φ act on each number with slopes between 0 and 1. Then
Δa = φ(z + Δz) − φ(z) obeys Δa·(Δz − Δa) ≥ 0. Subtract 2/λ times this from the inequality, with λ
the largest eigenvalue of C, and minimise over Δz: ‖Δx‖² ≥ Δaᵀ P⁻¹ Δa, where P = λ·(2I − C/λ)⁻¹. The
next linear layer W makes C = W P Wᵀ of it. The square root of the last C's largest eigenvalue
bounds the constant. As P ≤ λI, the bound never exceeds the product of the layers' norms.

C is kept as a factor, C = G Gᵀ, so that a wide layer costs no more than its narrower side.
"""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from harness.measures.layer_constants import SLOPES, is_dropout, runs_as
from harness.measures.linear_map_norm import largest_singular_value
from harness.measures.lipschitz_upper import chain

NONDECREASING = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Tanh, nn.Sigmoid, nn.Softplus)
"""Functions of single numbers that never fall, for parameters that are not negative."""


@torch.no_grad()
def layerwise_bound(module: nn.Module, input_shape: tuple[int, ...]) -> float | None:
    """Return a bound on ‖f(u) − f(v)‖ / ‖u − v‖ for all inputs u, v, per raw unit of input.

    `input_shape` leaves out the batch. None where the model is not a chain of linear layers,
    nondecreasing functions of single numbers and scalings, or where the bound is not finite. Layers
    that declare their constant may stand before the first linear layer and after the last.
    """
    if not all(bool(p.isfinite().all()) for p in module.parameters()):
        return None

    like = next(module.parameters(), torch.zeros(()))
    x = torch.zeros(1, *input_shape, dtype=like.dtype, device=like.device)
    factor: Tensor | None = None  # G of C = G Gᵀ; None before the first linear layer
    scale = 1.0  # of everything after the last linear layer
    activated = False
    ended = False  # by a layer of which nothing but its constant is known
    for layer in chain(module):
        if isinstance(layer, nn.Linear) and runs_as(layer, nn.Linear):
            if ended or x.dim() != 2:
                return None
            weight = scale * layer.weight.double().cpu()
            if factor is None:
                factor = weight
            elif activated:
                factor = _through_activation(factor, weight)
            else:
                factor = weight @ factor
            scale = 1.0
            activated = False
        elif hasattr(layer, "affine"):
            scale *= abs(float(cast(Any, layer).affine[0]))
        elif hasattr(layer, "lipschitz"):
            scale *= float(cast(Any, layer).lipschitz)
            ended = factor is not None
        elif (slope := _steepest_slope(layer)) is not None:
            scale *= slope
            activated = True
        elif not (is_dropout(layer) or runs_as(layer, nn.Identity) or runs_as(layer, nn.Flatten)):
            return None
        if not is_dropout(layer):
            x = layer(x)

    if factor is None:
        return None
    bound = scale * largest_singular_value(factor)
    return bound if math.isfinite(bound) else None


def _through_activation(factor: Tensor, weight: Tensor) -> Tensor:
    """Return a factor of W P Wᵀ, P = λ·(2I − G Gᵀ/λ)⁻¹, for G (h, r) and W (k, h).

    Where r is the narrower side, P = λ/2·(I + G (2λI − GᵀG)⁻¹ Gᵀ) is never written out.
    """
    top = largest_singular_value(factor) ** 2
    if top == 0:
        return weight.new_zeros(len(weight), 1)

    height, rank = factor.shape
    if height <= rank:
        eye = torch.eye(height, dtype=factor.dtype)
        lower = torch.linalg.cholesky(2 * eye - factor @ factor.mT / top)
        return math.sqrt(top) * _divided(weight, lower)

    eye = torch.eye(rank, dtype=factor.dtype)
    lower = torch.linalg.cholesky(2 * top * eye - factor.mT @ factor)
    return math.sqrt(top / 2) * torch.cat([weight, _divided(weight @ factor, lower)], dim=1)


def _divided(a: Tensor, lower: Tensor) -> Tensor:
    """Return a L⁻ᵀ for a (k, m) and a lower triangle L (m, m), so that its product with its own
    transpose is a (L Lᵀ)⁻¹ aᵀ."""
    return torch.linalg.solve_triangular(lower, a.mT, upper=False).mT


def _steepest_slope(layer: nn.Module) -> float | None:
    """Return the steepest slope of a nondecreasing function of single numbers; None for any other
    layer."""
    falls = getattr(layer, "negative_slope", 0) < 0 or getattr(layer, "alpha", 0) < 0
    if falls:
        return None
    return next((SLOPES[kind](layer) for kind in NONDECREASING if runs_as(layer, kind)), None)
