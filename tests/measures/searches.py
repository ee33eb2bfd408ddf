"""Call the first-order distance and the minimum-norm search on small problems, with every argument
but the model and the points filled in."""

import math

import torch
from torch import Tensor, nn

from harness.measures import boundary
from harness.measures.boundary import Stability, stability
from harness.measures.distances import l2_distance
from harness.measures.gradients import linear_distance, margins, slopes
from harness.measures.margin_descent import WANDER_DIRECTIONS
from harness.training.evaluation import predicted
from harness.training.stack import Model

CAP = 1.0


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def wander(x: Tensor) -> Tensor:
    return torch.randn(WANDER_DIRECTIONS, *x.shape, generator=generator())


def points(n: int, d: int, seed: int = 0) -> Tensor:
    """Return points of length about 1, as in data units."""
    return torch.randn(n, d, generator=generator(seed)) / math.sqrt(d)


def affine(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def first_order(model: Model, x: Tensor, classes: int | None, cap: float = CAP) -> Stability:
    label = predicted(model(x).detach(), classes)
    found = margins(model, x, label, classes)
    return stability(linear_distance(found, slopes(found)), cap, leave_out=True)


def attack(
    model: Model, x: Tensor, starts: Tensor, classes: int | None, cap: float = CAP
) -> Stability:
    return stability(
        l2_distance(x, nearest_change(model, x, starts, classes)), cap, leave_out=False
    )


def nearest_change(model: Model, x: Tensor, starts: Tensor, classes: int | None) -> Tensor:
    return boundary.nearest_change(model, x, starts[None], classes, wander(x)).change
