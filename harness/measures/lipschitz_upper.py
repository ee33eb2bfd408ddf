"""Certify an upper bound on a network's Lipschitz constant, and the distance to the decision
boundary that follows from it.

In ℓ2 the constant of a chain of layers is at most the product of the layers' own constants (Szegedy
et al. 2014, arXiv 1312.6199), which `layer_constants.py` gives. A model with any other module has
no bound, and a note names the module. The bound holds in real arithmetic and evaluation mode, for
all of R^d; rounding in float32 can make outputs differ by more than the bound allows.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from harness.measures.layer_constants import constant_of, has_constant, is_dropout, runs_as

MARGIN_FACTOR = math.sqrt(2)
"""A margin z_k − z_j is at most √2 times as steep as the logits, because it is their product with
e_k − e_j, a vector of length √2."""


class Upper(NamedTuple):
    """An upper bound on ‖f(u) − f(v)‖ / ‖u − v‖ for all inputs u, v."""

    product: float | None
    """Product of the layers' constants, output per raw unit of input; None without a bound."""
    residual: float
    """Largest relative residual ‖AᵀAv − σ²v‖ / σ² of a layer's norm, by which that norm was raised;
    0 where no norm was iterated."""
    note: str | None
    """Why there is no bound; None where there is one."""


@torch.no_grad()
def upper(module: nn.Module, input_shape: tuple[int, ...]) -> Upper:
    """Return the product of the layers' constants of a nested nn.Sequential in evaluation mode.

    `input_shape` leaves out the batch.
    """
    layers = list(chain(module))
    unknown = dict.fromkeys(type(layer).__name__ for layer in layers if not has_constant(layer))
    if unknown:
        return Upper(None, 0.0, f"no bound is known for {', '.join(unknown)}")
    if not all(bool(p.isfinite().all()) for p in module.parameters()):
        return Upper(None, 0.0, "some weights are not finite")

    like = next(module.parameters(), torch.zeros(()))
    x = torch.zeros(1, *input_shape, dtype=like.dtype, device=like.device)
    product = 1.0
    residual = 0.0
    for layer in layers:
        constant = constant_of(layer, x)
        product = product * constant.value
        residual = max(residual, constant.residual)
        if not math.isfinite(product):
            note = f"the product is not finite from {type(layer).__name__} on"
            return Upper(None, residual, note)
        # Later layers see the shape of the output. Dropout keeps it, and might draw random numbers.
        if not is_dropout(layer):
            x = layer(x)
    return Upper(product, residual, None)


def log_probability_factor(classes: int) -> float:
    """Return √K, the factor by which the K log-probabilities can be steeper than the logits z.

    The Jacobian of log_softmax is P = I − 1pᵀ with p = softmax(z). P² = P, and a projection other
    than 0 and I has the norm of its complement (Szyld 2006, Numer. Algorithms 42): ‖P‖ = ‖1pᵀ‖ =
    √K·‖p‖ ≤ √K, with equality when p is a corner.
    """
    return math.sqrt(classes)


def certified_distance(margin: Tensor, upper: float, classes: int | None) -> Tensor:
    """Return the ℓ2 distances (B,) within which no input has another label, in the input unit of
    `upper`.

    margin: (B,), f for a ±1 target, top logit minus runner-up for K classes. f must change by |f|
    to change its sign; a margin is √2 times as steep as the logits (Tsuzuku et al. 2018, arXiv
    1802.04034). For a constant model the distances are +inf.
    """
    slope = upper if classes is None else MARGIN_FACTOR * upper
    return margin.abs() / slope if slope > 0 else torch.full_like(margin, math.inf)


def chain(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules of nested nn.Sequential in order of their calls."""
    if (
        isinstance(module, nn.Sequential)
        and runs_as(module, nn.Sequential)
        and not has_constant(module)
    ):
        for child in module:
            yield from chain(child)
    else:
        yield module
