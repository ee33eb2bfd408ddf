"""The balls that an adversary moves inputs in, around each input and within the box of valid ones.

A ball knows a uniform random point of it, the direction of steepest ascent at unit length in its
norm, and how to bring inputs back inside. Inputs are (M, B, *input_shape), one ball per input.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from harness.task.config import AdversaryNorm

Box = tuple[float, float]


class Ball(Protocol):
    """Balls of one radius around inputs."""

    def random_offsets(self, draws: Sequence[torch.Generator], like: Tensor) -> Tensor:
        """Return offsets (G, B, *input_shape), uniform in the ball, one generator per group.

        They are drawn on the CPU, so that they are the same on every device.
        """
        ...

    def ascent(self, gradient: Tensor) -> Tensor:
        """Return the direction in which a linear function grows most; zero where it is constant."""
        ...

    def inside(self, at: Tensor, centre: Tensor) -> Tensor:
        """Bring inputs back into the ball around `centre` and into the box."""
        ...


class LinfBall:
    """Every number moves by at most the radius."""

    def __init__(self, radius: float, box: Box | None):
        self.radius = radius
        self.box = box

    def random_offsets(self, draws: Sequence[torch.Generator], like: Tensor) -> Tensor:
        uniform = torch.stack([torch.rand(like.shape[1:], generator=draw) for draw in draws])
        return self.radius * (2 * uniform.to(like) - 1)

    def ascent(self, gradient: Tensor) -> Tensor:
        return gradient.sign()

    def inside(self, at: Tensor, centre: Tensor) -> Tensor:
        low = centre - self.radius
        high = centre + self.radius
        if self.box:
            low = low.clamp(min=self.box[0])
            high = high.clamp(max=self.box[1])
        return at.clamp(low, high)


class L2Ball:
    """The offset's Euclidean length is at most the radius: a number above 0, or a tensor of them
    that goes with the inputs' shape."""

    def __init__(self, radius: float | Tensor, box: Box | None):
        self.radius = radius
        self.box = box

    def random_offsets(self, draws: Sequence[torch.Generator], like: Tensor) -> Tensor:
        offsets = []
        for draw in draws:
            direction = _unit(torch.randn(like.shape[1:], generator=draw), first=1)
            share = torch.rand(len(direction), generator=draw) ** (1 / direction[0].numel())
            offsets.append(self.radius * direction * share.reshape(-1, *[1] * (like.dim() - 2)))
        return torch.stack(offsets).to(like)

    def ascent(self, gradient: Tensor) -> Tensor:
        return _unit(gradient, first=2)

    def inside(self, at: Tensor, centre: Tensor) -> Tensor:
        offset = at - centre
        length = _length(offset, first=2)
        at = centre + offset * (self.radius / length.clamp(min=self.radius))
        # The centre lies in the box, so clamping shortens the offset and never leaves the ball.
        return at.clamp(*self.box) if self.box else at


BALLS: dict[AdversaryNorm, Callable[[float, Box | None], Ball]] = {
    "linf": LinfBall,
    "l2": L2Ball,
}


def _unit(v: Tensor, first: int) -> Tensor:
    """Return vectors of length 1 over the dimensions from `first` on; a zero vector stays zero."""
    length = _length(v, first)
    return torch.where(length > 0, v / length, 0)


def _length(v: Tensor, first: int) -> Tensor:
    return v.flatten(first).norm(dim=first).reshape(*v.shape[:first], *[1] * (v.dim() - first))
