"""By how much models are right, and the losses that the search of the frontier minimises.

A sample's margin is positive exactly where its label is predicted: y·f for a ±1 target, for classes
the label's output minus the largest other one.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

RAMP_SLOPE = 4.0
"""Slope of the ramp at margin 0, times 4. Of 2, 4 and 8, 4 won most cells on the sphere."""

RAMP_WHOLE = 0.5
"""Share of a training by which the ramp has replaced the logistic loss that it begins as."""


def margins(output: Tensor, y: Tensor, classes: int | None) -> Tensor:
    """Return the margins (...,) of outputs (..., K), or (..., 1) for a ±1 target, at labels
    (...,)."""
    if classes is None:
        return output.squeeze(-1) * torch.where(y >= 0, 1.0, -1.0)
    own = output.gather(-1, y[..., None]).squeeze(-1)
    others = output.scatter(-1, y[..., None], -torch.inf).amax(-1)
    return own - others


def ramp(margin: Tensor, progress: float) -> Tensor:
    """Return a loss that gives points up: a sigmoid of the margin, blended in from the logistic
    loss.

    The rule of the frontier allows R*/2 of the points to be lost, and near the onset the best fit
    loses them. A sigmoid alone has no gradient where training begins.
    """
    share = min(1.0, progress / RAMP_WHOLE)
    return (1 - share) * F.softplus(-margin) + share * torch.sigmoid(-RAMP_SLOPE * margin)


def squared_hinge(margin: Tensor, progress: float) -> Tensor:
    """Return (1 − margin)² where the margin is below 1."""
    return (1 - margin).clamp(min=0).square()


def logistic(margin: Tensor, progress: float) -> Tensor:
    """Return ln(1 + exp(−margin))."""
    return F.softplus(-margin)


LOSSES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "ramp": ramp,
    "squared hinge": squared_hinge,
    "logistic": logistic,
}
"""Losses of margins, elementwise, by name. `progress`: the share of the training that is done."""
