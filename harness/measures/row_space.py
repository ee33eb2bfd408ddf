"""Turn a model into a function of the coordinates of its first layer's row space, for ℓ2
instruments.

An MLP's first layer x ↦ W x + b (W: width × d) distinguishes only inputs that differ along the rows
of W. With Wᵀ = Q R, the columns of Q orthonormal, f(x) = g(Qᵀx), where g has the first layer u ↦
Rᵀu + b. Moving along Q changes x and its coordinates u = Qᵀx by the same length, and moving across
Q changes no output. So g has the gradient norms, spectral norms and difference quotients of f, and
the input nearest to x with another label is x + Q v, where u + v is nearest to u for g. A search
there is exact, and handles `width` numbers per point instead of d: 64 instead of 784 for pixels of
digits. ℓ∞ balls, boxes and spheres do not keep their shape in these coordinates.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.training.stack import FirstLayer, Model, flat


class RowSpaceView:
    """Some models as one function, `model`, of coordinates (M·B, r). Where the first layer is not
    known, the coordinates are the inputs themselves (M·B, *input_shape).

    r is the largest width among the models, at most d. Narrower models leave the coordinates beyond
    their own width zero, so a model's coordinates do not depend on the models beside it.
    """

    def __init__(
        self, model: Model, models: int, input_shape: Sequence[int], first: FirstLayer | None
    ):
        """`model` takes inputs (M·B, *input_shape); `first` are the same models' first layers."""
        self.models = models
        self.input_shape = tuple(input_shape)
        self.model = model
        self.basis: Tensor | None = None
        """(M, d, r) Q of each model, with zeros beyond the model's own width."""

        if first is not None:
            q, r = torch.linalg.qr(first.weight)
            self.basis = q * (r.abs().sum(2) > 0)[:, None]
            self.model = flat(lambda u: first.rest(torch.baddbmm(first.bias, u, r)), models)

    def coordinates(self, x: Tensor) -> Tensor:
        """Return the coordinates (M·B, r) of inputs (M·B, *input_shape)."""
        if self.basis is None:
            return x
        by_model = x.reshape(self.models, -1, self.basis.shape[1])
        return (by_model @ self.basis).flatten(0, 1)

    def lift(self, v: Tensor) -> Tensor:
        """Return the vectors (M·B, …, *input_shape) of the row space that have the coordinates v
        (M·B, …, r)."""
        if self.basis is None:
            return v
        by_model = v.reshape(self.models, -1, v.shape[-1])
        return (by_model @ self.basis.mT).reshape(*v.shape[:-1], *self.input_shape)

    def inputs(self, x: Tensor, u: Tensor) -> Tensor:
        """Return the inputs with coordinates u (M·B, r) that differ from x (M·B, *input_shape) only
        along the basis."""
        return u if self.basis is None else x + self.lift(u - self.coordinates(x))
