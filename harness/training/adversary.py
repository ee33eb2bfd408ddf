"""Adversarial training's inner step: a batch moved, inside an ℓ∞ ball, to where the loss is larger.

Madry et al. 2018 (arXiv 1706.06083) train on x + δ in place of x. FGSM (Goodfellow et al. 2015,
arXiv 1412.6572) is one step of the whole radius along the gradient's sign; PGD begins at a random
point of the ball and takes many smaller ones, each cut back to the ball. Both stay inside the box
of valid inputs.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from harness.task import Config
from harness.training.stack import Program


class Adversary(NamedTuple):
    """How inputs are moved. Lengths are in the inputs' own numbers."""

    radius: float
    steps: int
    step_size: float
    random_start: bool


def adversary_of(config: Config) -> Adversary | None:
    """The adversary that a configuration asks for. Models of one stack must agree in it."""
    if config.adversary is None:
        return None
    assert config.adversary_radius  # Config refuses an adversary without one, and completes pgd
    if config.adversary == "fgsm":
        return Adversary(config.adversary_radius, 1, config.adversary_radius, random_start=False)
    assert config.adversary_steps and config.adversary_step_size
    return Adversary(
        config.adversary_radius,
        config.adversary_steps,
        config.adversary_step_size,
        random_start=True,
    )


def perturb(
    program: Program,
    x: Tensor,
    per_row: int,
    losses: Callable[[Tensor], Tensor],
    how: Adversary,
    box: tuple[float, float] | None,
    starts: Sequence[torch.Generator],
) -> Tensor:
    """Each model's own adversarial inputs, (M, B, *input_shape), for x: (G, B, *input_shape), one
    batch a row of `per_row` models.

    `losses` maps the program's outputs, (M·B, outputs), to each one's loss. The random start is
    drawn from the row's generator in `starts`, the same for all its models, so that a model sees
    what it would see alone.
    """
    low, high = x - how.radius, x + how.radius
    if box:
        low, high = low.clamp(min=box[0]), high.clamp(max=box[1])
    at = x
    if how.random_start:
        # Drawn on the CPU: the same on every device.
        drawn = torch.stack(
            [torch.rand(x.shape[1:], generator=generator) for generator in starts]
        ).to(x)
        at = (x + how.radius * (2 * drawn - 1)).clamp(low, high)
    at, low, high = (t.repeat_interleave(per_row, 0) for t in (at, low, high))
    for _ in range(how.steps):
        at.requires_grad_()
        loss = losses(program(at).flatten(0, 1)).sum()
        (gradient,) = torch.autograd.grad(loss, at, materialize_grads=True)
        at = at.detach().add(gradient.sign(), alpha=how.step_size).clamp_(low, high)
    return at


def count_pass_flops(model: nn.Module, input_shape: tuple[int, ...]) -> int:
    """FLOPs of one of the adversary's passes per sample, forward and backward to the input, by
    torch's counter.

    Fewer than a training pass has: no weight gets a gradient. Works on the meta device.
    """
    device = next(model.parameters()).device

    def cost(batch: int) -> int:
        # the counter wants no leaf
        x = torch.zeros(batch, *input_shape, device=device, requires_grad=True) * 1
        with FlopCounterMode(display=False) as counter:
            torch.autograd.grad(model(x).sum(), x, materialize_grads=True)
        return counter.get_total_flops()

    return (cost(4) - cost(2)) // 2
