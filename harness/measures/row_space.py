"""Inputs as a model sees them: for ℓ2 instruments, the coordinates of its first layer's row space.

An MLP's first layer x ↦ W x + b (W: width × d) tells only those inputs apart that differ along the
rows of W. With Wᵀ = Q R, the columns of Q orthonormal, f(x) = g(Qᵀx), where g has the first layer u
↦ Rᵀu + b. Moving along Q changes x and its coordinates u = Qᵀx by the same length, and moving
across it changes no output. So g has the gradient norms, spectral norms and difference quotients of
f, and what is nearest to x with another label lies at x + Q v, with v nearest to u for g. Searching
there is exact, and takes passes over `width` numbers per point instead of d: 64 for 784 pixels. ℓ∞
balls, boxes and spheres do not keep their shape in these coordinates.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.training.stack import FirstLayer, Model, flat


class RowSpaceView:
    """Some models as functions `model` of coordinates (M·B, r), which are the inputs themselves
    (M·B, *input_shape) where nothing is known of the first layer.

    r is the largest width among the models, at most d. Narrower ones leave the coordinates beyond
    their own width zero, so that a model's coordinates are the same in any company.
    """

    def __init__(
        self, model: Model, models: int, input_shape: Sequence[int], first: FirstLayer | None
    ):
        """`model` takes inputs (M·B, *input_shape); `first` are the same models' first layers."""
        self.model, self.models, self.input_shape, self.basis = (
            model,
            models,
            tuple(input_shape),
            None,
        )
        if first is not None:
            q, r = torch.linalg.qr(first.weight)
            self.basis = q * (r.abs().sum(2) > 0)[:, None]
            self.model = flat(lambda u: first.rest(torch.baddbmm(first.bias, u, r)), models)

    def coordinates(self, x: Tensor) -> Tensor:
        """Of inputs (M·B, *input_shape)."""
        return (
            x
            if self.basis is None
            else (x.reshape(self.models, -1, self.basis.shape[1]) @ self.basis).flatten(0, 1)
        )

    def lift(self, v: Tensor) -> Tensor:
        """The vectors with coordinates v (M·B, …, r) and nothing across, (M·B, …, *input_shape)."""
        if self.basis is None:
            return v
        return (v.reshape(self.models, -1, v.shape[-1]) @ self.basis.mT).reshape(
            *v.shape[:-1], *self.input_shape
        )

    def inputs(self, x: Tensor, u: Tensor) -> Tensor:
        """The inputs with coordinates u (M·B, r) that differ from x (M·B, *input_shape) along
        the basis alone."""
        return u if self.basis is None else x + self.lift(u - self.coordinates(x))
