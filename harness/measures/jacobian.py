"""Compute the Jacobians J of a model's outputs at points, and their spectral norms ‖J‖₂.

    norms = local_norms(model, x, classes=10, on_sphere=False)
    norms.outputs.norm.max()      # a lower estimate of the Lipschitz constant of the logits

With few outputs J is computed whole, one backward pass per output, and its largest singular value
comes from the eigenvalues of JJᵀ. With many (a vocabulary) Lanczos's method on JᵀJ finds it from
products Jv and uᵀJ alone. Either way the norm comes with the residual of its singular pair.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.training.stack import Model

FEW_OUTPUTS = 32
"""Up to this many outputs, the whole Jacobian costs less than KRYLOV products. A model with more
outputs is treated as one over a vocabulary."""
KRYLOV = 24
"""Largest dimension of the space in which the largest singular value is searched for."""
CHECK_EVERY = 2
SETTLED = 5e-4
"""The search ends earlier where every point's relative residual is at most this, which is looked at
after each CHECK_EVERY products. Some singular value then lies within half of that."""
EXHAUSTED = 1e-4
"""Relative length below which a new direction of that space is only rounding: its length after the
known directions are taken out, over its length before."""


class Linearised(NamedTuple):
    """A model at points: outputs (B, K), and their Jacobians (B, K, *input_shape)."""

    outputs: Tensor
    jacobian: Tensor


class Singular(NamedTuple):
    """Largest singular values σ (B,), their right vectors v (B, D), and the relative residuals
    ‖JᵀJv − σ²v‖ / σ² (B,), 0 where σ is."""

    norm: Tensor
    direction: Tensor
    residual: Tensor


class LocalNorms(NamedTuple):
    """‖J‖₂ of the outputs, and of the log-probabilities (None for a ±1 target)."""

    outputs: Singular
    logprobs: Singular | None


def linearise(model: Model, x: Tensor) -> Linearised:
    """Return outputs and whole Jacobians at x (B, *input_shape), one backward pass per output."""
    x = x.detach().requires_grad_(True)
    outputs = model(x).reshape(len(x), -1)
    count = outputs.shape[1]
    rows = [
        torch.autograd.grad(outputs[:, k].sum(), x, retain_graph=k + 1 < count)[0]
        for k in range(count)
    ]
    return Linearised(outputs.detach(), torch.stack(rows, dim=1))


def local_norms(model: Model, x: Tensor, classes: int | None, on_sphere: bool) -> LocalNorms:
    """Return the spectral norms at the points x (B, *input_shape), along the sphere around 0 where
    `on_sphere`."""
    with torch.no_grad():
        outputs = model(x).flatten(1).shape[1]
    if outputs <= FEW_OUTPUTS:
        return local_norms_of(linearise(model, x), x, classes, on_sphere)

    def log_probabilities(z: Tensor) -> Tensor:
        return F.log_softmax(model(z), dim=1)

    return LocalNorms(
        lanczos(model, x, on_sphere),
        None if classes is None else lanczos(log_probabilities, x, on_sphere),
    )


def local_norms_of(at: Linearised, x: Tensor, classes: int | None, on_sphere: bool) -> LocalNorms:
    """Return the same norms for a model that is already linearised at the points."""
    jacobian = at.jacobian.flatten(2)
    if on_sphere:
        jacobian = along_sphere(jacobian, x)
    outputs = spectral_norm(jacobian)
    if classes is None:
        return LocalNorms(outputs, None)

    # ∇log p_k = ∇z_k − Σ p_j ∇z_j
    mean_row = at.outputs.softmax(1)[:, None] @ jacobian
    return LocalNorms(outputs, spectral_norm(jacobian - mean_row))


def along_sphere(rows: Tensor, x: Tensor) -> Tensor:
    """Return vectors (B, K, D) less their part along x (B, *shape): tangent to the sphere around 0
    through x."""
    outward = F.normalize(x.flatten(1), dim=1)[:, :, None]
    return rows - (rows @ outward) * outward.mT


def spectral_norm(jacobian: Tensor) -> Singular:
    """Return the largest singular values of whole Jacobians (B, K, D)."""
    if jacobian.shape[1] == 1:
        row = jacobian[:, 0]
        norm = row.norm(dim=1)
        return Singular(norm, F.normalize(row, dim=1), torch.zeros_like(norm))

    values, vectors = torch.linalg.eigh(jacobian @ jacobian.mT)
    norm = values[:, -1].clamp(min=0).sqrt()
    left = vectors[:, :, -1:]
    right = F.normalize((jacobian.mT @ left)[:, :, 0], dim=1)
    gram_right = (jacobian.mT @ (jacobian @ right[:, :, None]))[:, :, 0]
    return Singular(norm, right, _residual(gram_right, right, norm))


def lanczos(model: Model, x: Tensor, on_sphere: bool) -> Singular:
    """Return the largest singular values at x (B, *input_shape), from the Krylov space of JᵀJ and a
    random vector per point, kept orthogonal.

    A power iteration spends the same products Jv and uᵀJ but uses only the last vector: on 40
    outputs of similar sizes it was still 1 % short after 40 products. The largest Ritz value never
    exceeds σ², and may fall short of it where its residual is not small.
    """
    draw = torch.Generator().manual_seed(0x5EED)
    pullback = torch.func.vjp(model, x)[1]

    def tangent(v: Tensor) -> Tensor:
        return along_sphere(v[:, None], x)[:, 0] if on_sphere else v

    def gram(v: Tensor) -> Tensor:
        pushed = torch.func.jvp(model, (x,), (v.reshape(x.shape),))[1]
        return tangent(pullback(pushed)[0].flatten(1)).detach()

    start = torch.randn(x.flatten(1).shape, generator=draw).to(x)
    basis = [F.normalize(tangent(start), dim=1)]
    images = [gram(basis[0])]
    while len(basis) < KRYLOV:
        basis.append(_orthogonal_direction(images[-1], torch.stack(basis, dim=2), tangent))
        images.append(gram(basis[-1]))
        if len(basis) % CHECK_EVERY == 0:
            found = _largest_ritz_pair(basis, images)
            if float(found.residual.max()) <= SETTLED:
                return found
    return _largest_ritz_pair(basis, images)


def _largest_ritz_pair(basis: list[Tensor], images: list[Tensor]) -> Singular:
    """Return the largest singular values in the space of orthonormal vectors (B, D), from their
    images JᵀJv (B, D)."""
    q = torch.stack(basis, dim=2)
    gram_q = torch.stack(images, dim=2)
    projected = q.mT @ gram_q
    values, vectors = torch.linalg.eigh((projected + projected.mT) / 2)
    norm = values[:, -1].clamp(min=0).sqrt()
    top = vectors[:, :, -1:]
    direction = (q @ top)[:, :, 0]
    residual = _residual((gram_q @ top)[:, :, 0], direction, norm)
    return Singular(norm, F.normalize(direction, dim=1), residual)


def _orthogonal_direction(
    image: Tensor, known: Tensor, tangent: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return unit vectors (B, D): the images (B, D) less their parts along the known orthonormal
    vectors (B, D, k).

    Once the space is exhausted, only rounding remains. The vector is then zero, which adds nothing.
    """
    direction = image
    least = EXHAUSTED * image.norm(dim=1, keepdim=True)
    for _ in range(2):  # once is not enough in float32
        along_known = (known @ (known.mT @ direction[:, :, None]))[:, :, 0]
        direction = tangent(direction - along_known)
        length = direction.norm(dim=1, keepdim=True)
        unit = direction / length.clamp(min=1e-30)
        direction = torch.where(length > least, unit, 0.0)
        least = torch.full_like(least, 0.5)
    return direction


def _residual(gram_v: Tensor, v: Tensor, norm: Tensor) -> Tensor:
    """Return ‖JᵀJv − σ²v‖ / σ² (B,) of vectors v (B, D) and their images JᵀJv."""
    off = (gram_v - norm.square()[:, None] * v).norm(dim=1)
    return torch.where(norm > 0, off / norm.square().clamp(min=1e-30), 0.0)
