"""The search begins again beside the nearest change found, as long as the gain is not lost in the
mean's standard error.

Run alone: python -m pytest tests/measures/test_restarts.py
"""

import pytest
import torch
from torch import Tensor, nn

from harness.measures import boundary
from harness.measures.boundary import DEFAULT
from harness.measures.distances import l2_distance
from harness.training.stack import Model
from tests.measures.searches import points, wander


class Pockets(nn.Module):
    """Two classes over R^d, parted by the sphere of radius 1, with a pocket of the other class at
    half that radius in each of the 2d directions of the axes."""

    def __init__(self, d: int):
        super().__init__()
        self.places = 0.5 * torch.cat([torch.eye(d), -torch.eye(d)])

    def forward(self, x: Tensor) -> Tensor:
        pockets = torch.exp(-20 * torch.cdist(x, self.places).square()).sum(dim=1)
        length = (x.square().sum(dim=1) + 1e-12).sqrt()
        return (1 - length - 0.7 * pockets)[:, None]


def distances(model: Model, x: Tensor, restarts: int, worth: float = 0) -> Tensor:
    effort = DEFAULT._replace(restarts=restarts, worth=worth)
    found = boundary.nearest_change(model, x, x[None], None, wander(x), effort=effort)
    return l2_distance(x, found.change)


def calls(model: Model, x: Tensor, restarts: int, worth: float = DEFAULT.worth) -> int:
    """Return how often the search calls the model."""
    count = 0

    def counted(z: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return model(z)

    distances(counted, x, restarts, worth)
    return count


@pytest.mark.slow
def test_restarts_find_nearer_pockets():
    model = Pockets(6)
    x = 0.3 * points(100, 6)
    without = distances(model, x, 0)
    once = distances(model, x, 1)
    often = distances(model, x, 8)
    assert bool((once <= without * (1 + 1e-6)).all())
    assert bool((often <= once * (1 + 1e-6)).all())
    assert float(often.mean()) < float(once.mean()) < 0.99 * float(without.mean())


@pytest.mark.slow
def test_a_model_that_gains_nothing_is_not_searched_again_and_again():
    linear = nn.Linear(6, 1)
    x = points(20, 6)
    assert calls(linear, x, 0) < calls(linear, x, 1) == calls(linear, x, 8)


@pytest.mark.slow
def test_a_gain_below_the_sampling_error_ends_the_search():
    model = Pockets(6)
    x = 0.3 * points(100, 6)
    without, once = distances(model, x, 0), distances(model, x, 1)
    gain = float((without - once).mean())
    error = float(once.std(correction=0)) / 10  # of 100 points

    assert calls(model, x, 8, 1.01 * gain / error) == calls(model, x, 1)
    assert calls(model, x, 8, 0.99 * gain / error) > calls(model, x, 1)
