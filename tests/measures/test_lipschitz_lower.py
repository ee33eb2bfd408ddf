"""Difference quotients are exact on linear maps, never above a known constant, above the slopes at
the points, and stay on the sphere.

Run alone: python -m pytest tests/measures/test_lipschitz_lower.py
"""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.measures.jacobian import local_norms
from harness.measures.lipschitz_lower import Lower, departures, steepest_pairs, summary
from tasks.models import mlp
from tests.measures.exact_lipschitz import small_nets


def points(n: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


def lower(model: nn.Module, x: Tensor, on_sphere: bool = False) -> Lower:
    steepest = local_norms(model, x, None, on_sphere).outputs
    return summary(
        steepest_pairs(model, *departures(x, steepest.direction), on_sphere),
        float(steepest.norm.max()),
        x[steepest.norm.argmax()],
    )


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [1, 2, 10])
@pytest.mark.parametrize("d", [1, 5, 784])
def test_a_linear_map(d: int, outputs: int):
    model = nn.Linear(d, outputs)
    with torch.no_grad():
        model.weight.copy_(points(outputs, d, seed=1))
    found = lower(model, points(8, d))
    assert found.largest == pytest.approx(
        float(torch.linalg.matrix_norm(model.weight.detach(), 2)), rel=1e-4
    )
    assert found.agreement == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("begin", ["steep points", "random pairs"])
def test_estimates_are_near_the_exact_constant_and_never_above(begin: str):
    """Holds for 25 random two-layer ReLU networks whose constant is known from all their
    linear pieces."""
    ratios = []
    for net in small_nets()[:25]:
        model, x = net.module().float(), 2 * points(32, net.W.shape[1])
        if begin == "steep points":
            found = lower(model, x)
        else:
            found = summary(steepest_pairs(model, *x.chunk(2), on_sphere=False), 0.0, x[0])
        assert found.largest <= net.exact * (1 + 1e-4)
        ratios.append(found.largest / net.exact)

    assert sum(ratios) / len(ratios) >= (0.95 if begin == "steep points" else 0.9)
    assert sorted(ratios)[1] >= 0.5, "a few are flat wherever there are points"


def ramp() -> nn.Module:
    """relu(100 (x₁ − 3)) − relu(100 (x₁ − 3.1)) + x₁ / 10: steep only between 3 and 3.1, with slope
    100.1 there and 0.1 elsewhere."""
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    values = (
        [[100.0, 0], [100.0, 0], [0.1, 0], [-0.1, 0]],
        [-300.0, -310.0, 0.0, 0.0],
        [[1.0, -1.0, 1.0, -1.0]],
        [0.0],
    )

    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(value))
    return model


def test_a_steep_place_between_the_points_is_found_from_pairs_on_its_two_sides():
    model = ramp()
    sides = torch.tensor([[2.0, 0.0], [4.0, 0.0]])
    assert float(
        local_norms(model, sides, None, on_sphere=False).outputs.norm.max()
    ) == pytest.approx(0.1, rel=1e-3)
    found = summary(steepest_pairs(model, sides[:1], sides[1:], on_sphere=False), 0.1, sides[0])
    assert found.largest == pytest.approx(100.1, rel=1e-2)
    assert 2.99 < float(found.at[0]) < 3.11


def test_on_the_sphere_pairs_stay_on_it_and_quotients_below_the_tangential_constant():
    """⟨w, x⟩ on the unit sphere: both its gradient along the sphere and the quotients over chords
    are at most ‖w‖."""
    w = points(1, 5, seed=1)
    seen = []

    def model(z: Tensor) -> Tensor:
        seen.append(z.detach())
        return z @ w.T + 100 * (z.norm(dim=1, keepdim=True) - 1)

    x = F.normalize(points(16, 5))
    found = summary(steepest_pairs(model, *x.chunk(2), on_sphere=True), 0.0, x[0])
    assert found.largest == pytest.approx(float(w.norm()), rel=1e-2)
    assert found.largest <= float(w.norm()) * (1 + 1e-3)
    assert all(float((z.norm(dim=1) - 1).abs().max()) < 1e-5 for z in seen)


@pytest.mark.slow
def test_wide_trained_networks_are_steeper_than_their_points_show():
    torch.manual_seed(0)
    model, x = mlp(10, 256, 1, 1), points(64, 10, seed=2)
    y, optimizer = (
        torch.randint(2, (64, 1), generator=torch.Generator().manual_seed(3)) * 2.0 - 1,
        None,
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    for _ in range(150):
        loss = (model(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    at_points = float(local_norms(model, x, None, on_sphere=False).outputs.norm.max())
    assert lower(model, x).largest > 1.02 * at_points


def test_a_constant_model_has_a_constant_of_zero():
    model = nn.Linear(3, 1)
    nn.init.zeros_(model.weight)
    assert lower(model, points(4, 3)).largest == 0.0


def test_the_ascent_is_reproducible_and_changes_neither_model_nor_points():
    torch.manual_seed(0)
    model, x = mlp(6, 16, 1, 3), points(8, 6)
    before = x.clone()
    first, again = lower(model, x), lower(model, x)
    assert first[:3] == again[:3] and torch.equal(first.at, again.at)
    assert torch.equal(x, before) and all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("bias", [0.0, 1.0, 1000.0])
def test_rounding_of_large_outputs_is_not_taken_for_a_slope(bias: float):
    """Difference quotients of 1000 + 1e-3·g could show the rounding steps of float32."""
    model = nn.Linear(6, 2)
    with torch.no_grad():
        model.weight.copy_(0.02 * points(2, 6, seed=1))
        model.bias.fill_(bias)
    exact = float(torch.linalg.matrix_norm(model.weight.detach(), 2))
    assert exact * (1 - 1e-3) <= lower(model, points(32, 6)).largest <= exact * (1 + 1e-4)
