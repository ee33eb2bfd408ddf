"""The search aims at further rivals where the nearest by first order leads nowhere, and the points
of each model are searched as if alone.

Run alone: python -m pytest tests/measures/test_rivals.py
"""

import pytest
import torch
from torch import Tensor, nn

from harness.measures import boundary
from harness.measures.boundary import Effort
from harness.measures.distances import l2_distance
from tests.measures.exact_distance import trained_net
from tests.measures.searches import points, wander

ONE_RIVAL = Effort(rivals=1, restarts=0)
TWO_RIVALS = Effort(rivals=2, restarts=0)


class DeadEnd(nn.Module):
    """Three classes over R^d. The margin over class 1 falls as 1 − 2x₁ but stays at 0.1 from x₁ =
    0.45 on; that over class 2 is 1 − 1.8x₂. By first order class 1 is nearer (0.5); the nearest
    change of label is to class 2, at x₂ = 1/1.8."""

    def forward(self, x: Tensor) -> Tensor:
        u = x[:, 0]
        v = x[:, 1]
        margin_1 = 1 - 2 * u + torch.relu(2 * u - 0.9)
        margin_2 = 1 - 1.8 * v
        return torch.stack([torch.zeros_like(u), -margin_1, -margin_2], dim=1)


def found(effort: Effort) -> Tensor:
    """Return the distances found from points near 0 in 50 dimensions, with no other label known."""
    x = torch.cat([torch.zeros(20, 2), points(20, 48)], dim=1)
    nearest = boundary.nearest_change(DeadEnd(), x, x[None], 3, wander(x), effort=effort)
    return l2_distance(x, nearest.change)


def test_a_second_rival_is_aimed_at_where_the_first_is_a_dead_end():
    exact = 1 / 1.8
    assert float(found(TWO_RIVALS).max()) == pytest.approx(exact, rel=1e-2)
    assert float(found(ONE_RIVAL).mean()) > 1.05 * exact


def test_more_rivals_than_there_are_is_all_of_them():
    assert torch.equal(found(Effort(rivals=9, restarts=0)), found(TWO_RIVALS))


@pytest.mark.slow
def test_more_effort_is_never_farther():
    """The further runs only add candidates."""
    net = trained_net(6, 5, 3, seed=0).torch()
    x = points(100, 6)
    distances = [
        l2_distance(x, boundary.nearest_change(net, x, x[None], 3, wander(x), effort=effort).change)
        for effort in (ONE_RIVAL, TWO_RIVALS)
    ]
    assert bool((distances[1] <= distances[0] * (1 + 1e-6)).all())


@pytest.mark.slow
def test_each_model_is_searched_as_if_alone():
    """A rival in reach of some points of one model fills up the batch of another."""
    net = trained_net(6, 5, 3, seed=0).torch()
    x = torch.cat([points(30, 6), 0.1 * points(30, 6, seed=2)])
    starts = points(80, 6, seed=8).unflatten(0, (2, 40))
    draws = wander(x)
    together = boundary.nearest_change(net, x, starts, 3, draws).change
    apart = [
        boundary.nearest_change(net, x[part], starts[g : g + 1], 3, draws[:, part]).change
        for g, part in enumerate((slice(0, 30), slice(30, 60)))
    ]
    torch.testing.assert_close(together, torch.cat(apart), rtol=1e-4, atol=1e-5)
