"""The second way to a robust fit: no attack, but a penalty on the gradient at the training points.

It shares nothing with the attack that the radius is verified with, so a frontier that both reach is
no artefact of that attack.
"""

import torch
from torch import Tensor

from harness.training.margins import margins, ramp
from harness.training.program import Program
from harness.training.robust_error import Points
from harness.training.robust_training import Step


class PenaltyObjective:
    """The ramp loss at the training points, plus each model's own strength times the mean squared
    norm of the gradient of its margin there."""

    def __init__(self, points: Points, strength: Tensor):
        """strength: (M,), in units of the inputs' own numbers squared."""
        self.points = points
        self.strength = strength

    def losses(self, program: Program, step: Step) -> Tensor:
        each = len(self.strength) // len(step.x)
        at = step.x.repeat_interleave(each, 0).requires_grad_()
        margin = margins(program(at), step.y, self.points.classes)
        (gradient,) = torch.autograd.grad(margin.sum(), at, create_graph=True)
        steepness = gradient.flatten(2).square().sum(2).mean(1)
        return ramp(margin, step.progress).mean(1) + self.strength * steepness
