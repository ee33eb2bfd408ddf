"""Jacobians J of a model's outputs at points, and their spectral norms ‖J‖₂.

    norms = local_norms(model, x, classes=10, on_sphere=False)
    norms.outputs.norm.max()      # a lower estimate of the Lipschitz constant of the logits

With few outputs J is computed whole, one backward pass per output, and its largest singular value
comes from the eigenvalues of JJᵀ. With many (a vocabulary) it is found by Lanczos's method on JᵀJ
from products Jv and uᵀJ alone. Either way the norm carries the residual of its singular pair.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.training.stack import Model

FEW_OUTPUTS = 32
"""Up to this many outputs, the whole Jacobian costs less than KRYLOV products. A model with more
outputs is treated as one over a vocabulary."""
KRYLOV = 24
"""Dimension of the space in which the largest singular value is looked for."""


class Linearised(NamedTuple):
    """A model at points: outputs (B, K), and their Jacobians (B, K, *input_shape)."""

    outputs: Tensor
    jacobian: Tensor


class Singular(NamedTuple):
    """Largest singular values (B,), their right vectors v (B, D), and the relative residuals
    ‖JᵀJv − σ²v‖ / σ² (B,), 0 where σ is."""

    norm: Tensor
    direction: Tensor
    residual: Tensor


class LocalNorms(NamedTuple):
    """‖J‖₂ of the outputs, and of the log-probabilities (None for a ±1 target)."""

    outputs: Singular
    logprobs: Singular | None


def linearise(model: Model, x: Tensor) -> Linearised:
    """Outputs and whole Jacobians at x (B, *input_shape), one backward pass per output."""
    x = x.detach().requires_grad_(True)
    outputs = model(x).reshape(len(x), -1)
    count = outputs.shape[1]
    rows = [
        torch.autograd.grad(outputs[:, k].sum(), x, retain_graph=k + 1 < count)[0]
        for k in range(count)
    ]
    return Linearised(outputs.detach(), torch.stack(rows, dim=1))


def local_norms(model: Model, x: Tensor, classes: int | None, on_sphere: bool) -> LocalNorms:
    """Spectral norms at the points x (B, *input_shape), along the sphere around 0 where
    `on_sphere`."""
    with torch.no_grad():
        many = model(x).flatten(1).shape[1] > FEW_OUTPUTS
    if many:
        outputs = lanczos(model, x, on_sphere)
        logprobs = (
            lanczos(lambda z: F.log_softmax(model(z), dim=1), x, on_sphere)
            if classes is not None
            else None
        )
        return LocalNorms(outputs, logprobs)
    return local_norms_of(linearise(model, x), x, classes, on_sphere)


def local_norms_of(at: Linearised, x: Tensor, classes: int | None, on_sphere: bool) -> LocalNorms:
    """The same from what is known of the model at the points."""
    jacobian = along_sphere(at.jacobian.flatten(2), x) if on_sphere else at.jacobian.flatten(2)
    outputs = spectral_norm(jacobian)
    if classes is None:
        return LocalNorms(outputs, None)
    # ∇log p_k = ∇z_k − Σ p_j ∇z_j
    return LocalNorms(outputs, spectral_norm(jacobian - at.outputs.softmax(1)[:, None] @ jacobian))


def along_sphere(rows: Tensor, x: Tensor) -> Tensor:
    """Vectors (B, K, D) less their part along x (B, *shape): tangent to the sphere around 0
    through x."""
    outward = F.normalize(x.flatten(1), dim=1)[:, :, None]
    return rows - (rows @ outward) * outward.mT


def spectral_norm(jacobian: Tensor) -> Singular:
    """Largest singular values of whole Jacobians (B, K, D)."""
    if jacobian.shape[1] == 1:
        row = jacobian[:, 0]
        norm = row.norm(dim=1)
        return Singular(norm, F.normalize(row, dim=1), torch.zeros_like(norm))
    values, vectors = torch.linalg.eigh(jacobian @ jacobian.mT)
    norm, left = values[:, -1].clamp(min=0).sqrt(), vectors[:, :, -1:]
    right = F.normalize((jacobian.mT @ left)[:, :, 0], dim=1)
    return Singular(
        norm, right, _residual((jacobian.mT @ (jacobian @ right[:, :, None]))[:, :, 0], right, norm)
    )


def lanczos(model: Model, x: Tensor, on_sphere: bool) -> Singular:
    """Largest singular values at x (B, *input_shape), from the Krylov space of JᵀJ and a random
    vector per point, kept orthogonal.

    A power iteration spends the same products Jv and uᵀJ and looks at the last vector alone: on 40
    outputs of near sizes it was still 1 % short after 40 of them. The largest Ritz value never
    exceeds σ²; where its residual is not small, it may fall short of it.
    """
    draw = torch.Generator().manual_seed(0x5EED)
    pullback = torch.func.vjp(model, x)[1]

    def tangent(v: Tensor) -> Tensor:
        return along_sphere(v[:, None], x)[:, 0] if on_sphere else v

    def gram(v: Tensor) -> Tensor:
        pushed = torch.func.jvp(model, (x,), (v.reshape(x.shape),))[1]
        return tangent(pullback(pushed)[0].flatten(1)).detach()

    basis, images = (
        [F.normalize(tangent(torch.randn(x.flatten(1).shape, generator=draw).to(x)), dim=1)],
        [],
    )
    for step in range(KRYLOV):
        images.append(gram(basis[-1]))
        if step + 1 < KRYLOV:
            known, new = torch.stack(basis, dim=2), images[-1]
            # Once the space is exhausted, what is left is rounding: a zero vector adds nothing.
            least = 1e-4 * new.norm(dim=1, keepdim=True)
            for _ in range(2):  # once is not enough in float32
                new = tangent(new - (known @ (known.mT @ new[:, :, None]))[:, :, 0])
                length = new.norm(dim=1, keepdim=True)
                new, least = (
                    torch.where(length > least, new / length.clamp(min=1e-30), 0.0),
                    torch.full_like(least, 0.5),
                )
            basis.append(new)
    q, aq = torch.stack(basis, dim=2), torch.stack(images, dim=2)
    projected = q.mT @ aq
    values, vectors = torch.linalg.eigh((projected + projected.mT) / 2)
    norm, top = values[:, -1].clamp(min=0).sqrt(), vectors[:, :, -1:]
    direction = (q @ top)[:, :, 0]
    return Singular(
        norm, F.normalize(direction, dim=1), _residual((aq @ top)[:, :, 0], direction, norm)
    )


def _residual(gram_v: Tensor, v: Tensor, norm: Tensor) -> Tensor:
    """(B,) ‖JᵀJv − σ²v‖ / σ² of vectors (B, D)."""
    off = (gram_v - norm.square()[:, None] * v).norm(dim=1)
    return torch.where(norm > 0, off / norm.square().clamp(min=1e-30), 0.0)
