"""The minimum-norm search agrees with exact distances of small ReLU networks.

Run alone: python -m pytest tests/measures/test_boundary_exactly.py
"""

import functools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.measures.exact_distance import Net, exact, random_net, trained_net
from tests.measures.searches import CAP, nearest_change, points


def test_the_exact_distance_of_a_net_worked_out_by_hand():
    """|x₁| − 1 = 0 has its zeros at x₁ = ±1."""
    net = Net(np.array([[1.0, 0], [-1.0, 0]]), np.zeros(2), np.ones((1, 2)), np.array([-1.0]))
    x = torch.tensor([[0.2, 5.0], [-0.3, 0.0], [3.0, 1.0], [0.0, 0.0]])
    assert exact(net, x, None).tolist() == pytest.approx([0.8, 0.7, 2.0, 1.0])


@pytest.mark.slow
def test_the_exact_distance_is_where_a_fine_grid_puts_it():
    net, x = random_net(2, 5, 1, seed=3), points(8, 2)
    axis = torch.linspace(-4, 4, 1601)
    grid = torch.cartesian_prod(axis, axis)
    sign = torch.tensor(net(grid.double().numpy()))[:, 0] >= 0
    own = torch.tensor(net(x.double().numpy()))[:, 0] >= 0
    coarse = torch.stack(
        [(grid[sign != s] - p).norm(dim=1).min() for p, s in zip(x, own, strict=True)]
    )
    found = exact(net, x, None).float()
    assert bool((coarse >= found - 1e-5).all()) and bool((coarse <= found + 0.01).all())


SHAPES = ((2, 3, 1), (3, 5, 1), (6, 5, 1), (4, 5, 3))  # inputs, hidden units, outputs


@functools.cache
def compared(kind: Callable[..., Net]) -> list[tuple[Tensor, Tensor]]:
    """Return the attack's and the exact distances of 100 points, for each of several nets."""
    pairs = []
    for d, width, outputs in SHAPES:
        net, x, classes = (
            kind(d, width, outputs, seed=0),
            points(100, d, seed=7),
            None if outputs == 1 else outputs,
        )
        found = nearest_change(net.torch(), x, points(400, d, seed=8), classes)
        pairs.append(
            ((found - x).double().norm(dim=1).nan_to_num(nan=math.inf), exact(net, x, classes))
        )
    return pairs


@pytest.mark.slow
@pytest.mark.parametrize("kind", [random_net, trained_net])
def test_the_attack_is_never_below_the_exact_distance(kind: Callable[..., Net]):
    for found, true in compared(kind):
        assert bool((found >= true - 1e-4).all())


@pytest.mark.slow
@pytest.mark.parametrize("kind", [random_net, trained_net])
def test_the_attacks_mean_is_within_one_per_cent_of_the_exact_mean(kind: Callable[..., Net]):
    ratios = [
        float(found.clamp(max=CAP).mean() / true.clamp(max=CAP).mean())
        for found, true in compared(kind)
    ]
    assert sum(ratios) / len(ratios) <= 1.01
    assert max(ratios) <= 1.03


@pytest.mark.slow
def test_the_attack_finds_nothing_only_where_there_is_nothing_near():
    for found, true in [*compared(random_net), *compared(trained_net)]:
        assert bool((true[found.isinf()] > 0.9 * CAP).all())
