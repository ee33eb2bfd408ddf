"""Compute norms of linear maps, exact or bounded from above: dense matrices, convolutions,
averages.

Small maps are written out as matrices. The norm of a large map comes from Lanczos's method, raised
by its residual, and never exceeds a bound that needs no Lanczos: for convolutions that of Sedghi,
Gupta & Long 2019, arXiv 1805.10408. The result is an upper bound provided that Lanczos found the
top of the spectrum, towards which it starts at random. A residual says how near some singular value
is, not that this value is the largest.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor, nn

LANCZOS_TOLERANCE: Any = 1e-6
"""Relative residual at which the iteration stops. (scipy has no types, and the checker takes its
default 0 for one.)"""

LANCZOS_RESTARTS = 100
DENSE_NUMBERS = 2**20
"""Maps whose matrix has at most this many numbers are written out, and need no Lanczos."""

FREQUENCY_NUMBERS = 2**22
"""Numbers of channel matrices, over all frequencies, that `torus_bound` holds at once."""

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d


class Constant(NamedTuple):
    """A Lipschitz constant, +inf where there is none, and the relative residual that it already
    includes."""

    value: float
    residual: float = 0.0


def largest_singular_value(matrices: Tensor) -> float:
    """Return the largest singular value of all matrices (..., m, n), real or complex, raised by
    what float64 rounding may have taken away.

    It comes from the smaller Gram matrix, many times cheaper than an SVD. Squaring spoils only the
    small singular values: the Gram matrix is wrong by at most u·n·‖A‖_F² and ‖A‖_F² ≤ m·‖A‖², with
    u the unit roundoff and m ≤ n.
    """
    a = matrices.to(torch.complex128 if matrices.is_complex() else torch.float64)
    scale = float(a.abs().max())
    if scale == 0:
        return 0.0
    a = (a if a.shape[-2] <= a.shape[-1] else a.mH) / scale
    top = float(torch.linalg.eigvalsh(a @ a.mH)[..., -1].max())
    return scale * math.sqrt(top) * (1 + a.shape[-2] * a.shape[-1] * torch.finfo(torch.float64).eps)


def linear_map_norm(
    forward: Callable[[Tensor], Tensor], shape: torch.Size, most: float
) -> Constant:
    """Return the norm of a linear map of float64 inputs (1, …), which is known to be at most
    `most`. The map's transpose is its backward pass."""
    origin = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        image = forward(origin)

    if origin.numel() * max(origin.numel(), image.numel()) <= DENSE_NUMBERS:
        impulses = torch.eye(origin.numel(), dtype=torch.float64).unflatten(1, shape[1:])
        return Constant(largest_singular_value(forward(impulses).flatten(1)))

    def gram(v: np.ndarray) -> np.ndarray:
        pushed = forward(torch.tensor(v).reshape(shape))
        (pulled,) = torch.autograd.grad(image, origin, pushed, retain_graph=True)
        return pulled.flatten().numpy()

    return min(_lanczos(gram, origin.numel()), Constant(most))


def _lanczos(gram: Callable[[np.ndarray], np.ndarray], size: int) -> Constant:
    """Return √ of the largest eigenvalue of AᵀA, raised by the residual; +inf where Lanczos does
    not converge, or cannot start."""
    operator = LinearOperator((size, size), matvec=gram, dtype=np.float64)  # pyright: ignore[reportCallIssue]
    start = np.random.default_rng(0).standard_normal(size)
    try:
        _, vectors = eigsh(
            operator, k=1, which="LA", v0=start, tol=LANCZOS_TOLERANCE, maxiter=LANCZOS_RESTARTS
        )
    except ArpackError:
        return Constant(math.inf)

    v = vectors[:, 0]
    image = gram(v)
    square = float(v @ image) / float(v @ v)
    residual = float(np.linalg.norm(image - square * v) / (square * np.linalg.norm(v)))
    return Constant(math.sqrt(square) * (1 + residual), residual)


def torus_bound(layer: Convolution, weight: Tensor, size: tuple[int, ...]) -> float:
    """Return an upper bound on the norm of a zero-padded convolution with `weight` on inputs of
    `size`, without iteration.

    Zero padding embeds inputs isometrically in a torus of the padded size. On it the circular
    convolution's outputs at the positions s·i, where no window wraps around, are the layer's
    outputs: leaving out the other positions cannot lengthen. Fourier transforms turn the circular
    convolution into one matrix of channels for each frequency ω, Σ_k W[k] exp(2πi ω·k/size), so its
    norm is the largest of their norms. The bound is exact for circular maps; with a stride it
    ignores that outputs are left out.
    """
    torus = [n + padding for n, padding in zip(size, _padding(layer), strict=True)]
    halved = [*torus[:-1], torus[-1] // 2 + 1]  # a real kernel has conjugate matrices at ω and −ω
    frequencies = _grid([torch.arange(f).double() / n for f, n in zip(halved, torus, strict=True)])
    kernel_size = weight.shape[2:]
    offsets = _grid(
        [
            torch.arange(k).double() * dilation
            for k, dilation in zip(kernel_size, layer.dilation, strict=True)
        ]
    )
    phases = torch.exp(2j * math.pi * (frequencies @ offsets.T))
    kernel = weight.flatten(2).unflatten(0, (layer.groups, -1)).to(phases.dtype)
    at_once = max(1, FREQUENCY_NUMBERS // weight.numel())
    return max(
        largest_singular_value(torch.einsum("fk,goik->fgoi", part, kernel))
        for part in phases.split(at_once)
    )


def _padding(layer: Convolution) -> list[int]:
    """Return the zeros added on each axis, both sides together."""
    if layer.padding == "valid":
        return [0] * len(layer.kernel_size)
    if layer.padding == "same":
        return [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    return [2 * int(padding) for padding in layer.padding]


def _grid(axes: list[Tensor]) -> Tensor:
    """Return all combinations of the axes' values, (product of lengths, axes)."""
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
