"""Adversarial training's inner step: move a batch, inside an ℓ∞ or ℓ2 ball, to where the loss is
larger.

Madry et al. 2018 (arXiv 1706.06083) train on x + δ in place of x. FGSM (Goodfellow et al. 2015,
arXiv 1412.6572) takes one step of the whole radius in the direction of steepest ascent: the
gradient's sign in ℓ∞, the gradient itself in ℓ2 (Miyato et al. 2017, arXiv 1605.07725). PGD begins
at a random point of the ball and takes many smaller steps, each brought back into the ball. Both
stay inside the box of valid inputs.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from harness.task import Config
from harness.task.config import AdversaryNorm
from harness.training.balls import BALLS
from harness.training.program import Program


class Adversary(NamedTuple):
    """How inputs are moved. Lengths are in the inputs' own numbers."""

    radius: float
    steps: int
    step_size: float
    random_start: bool
    norm: AdversaryNorm = "linf"


def adversary_of(config: Config) -> Adversary | None:
    """Return the adversary that a configuration asks for, or None. It must be the same for all
    models of a stack."""
    if config.adversary is None:
        return None

    # Config refuses an adversary without a radius, and completes the other fields of pgd.
    radius = config.adversary_radius
    assert radius
    norm = config.adversary_norm or "linf"
    if config.adversary == "fgsm":
        return Adversary(radius, steps=1, step_size=radius, random_start=False, norm=norm)

    steps = config.adversary_steps
    step_size = config.adversary_step_size
    assert steps and step_size
    return Adversary(radius, steps, step_size, random_start=True, norm=norm)


def random_offsets(
    adversary: Adversary, starts: Sequence[torch.Generator], like: Tensor
) -> Tensor | None:
    """Draw the offsets to the random start, (G, B, *input_shape); None where the adversary begins
    at the inputs themselves.

    starts: a generator per group. An offset is the same for all models of a group, so that a model
    sees what it would see by itself.
    """
    if not adversary.random_start:
        return None
    return BALLS[adversary.norm](adversary.radius, None).random_offsets(starts, like)


def perturb(
    program: Program,
    x: Tensor,
    per_group: int,
    losses: Callable[[Tensor], Tensor],
    adversary: Adversary,
    box: tuple[float, float] | None,
    offsets: Tensor | None,
) -> Tensor:
    """Return each model's own adversarial inputs, (M, B, *input_shape).

    x: (G, B, *input_shape), one batch for each group of `per_group` models.
    losses: maps the program's outputs, (M·B, outputs), to the (M·B,) losses.
    offsets: from x to the random start, in x's shape; None where the adversary begins at x.
    """
    ball = BALLS[adversary.norm](adversary.radius, box)
    start = x if offsets is None else ball.inside(x + offsets, x)

    at = start.repeat_interleave(per_group, 0)
    centre = x.repeat_interleave(per_group, 0)
    for _ in range(adversary.steps):
        at.requires_grad_()
        loss = losses(program(at).flatten(0, 1)).sum()
        (gradient,) = torch.autograd.grad(loss, at, materialize_grads=True)
        at = at.detach().add(ball.ascent(gradient), alpha=adversary.step_size)
        at = ball.inside(at, centre)
    return at


def count_pass_flops(model: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Return the FLOPs per sample of one of the adversary's passes, forward and backward to the
    input, by torch's counter.

    They are fewer than those of a training pass, because no weight gets a gradient. Works on the
    meta device.
    """
    device = next(model.parameters()).device

    def flops(batch: int) -> int:
        leaf = torch.zeros(batch, *input_shape, device=device, requires_grad=True)
        x = leaf * 1  # the counter needs an input that is not a leaf
        with FlopCounterMode(display=False) as counter:
            torch.autograd.grad(model(x).sum(), x, materialize_grads=True)
        return counter.get_total_flops()

    return (flops(4) - flops(2)) // 2
