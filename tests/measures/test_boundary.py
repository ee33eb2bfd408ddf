"""Distances to the decision boundary: exact on linear maps, and right for points that are flat or
far from any boundary.

Run alone: python -m pytest tests/measures/test_boundary.py
"""

import math

import pytest
import torch
from torch import Tensor, nn

from harness.measures import boundary
from harness.measures.boundary import Stability
from harness.training.evaluation import predicted
from tests.measures.exact_distance import trained_net
from tests.measures.searches import (
    CAP,
    affine,
    attack,
    first_order,
    nearest_change,
    points,
    wander,
)

# Linear maps


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.01, 1.0, 1000.0])
@pytest.mark.parametrize("d", [1, 2, 10, 784])
def test_distance_to_a_hyperplane(d: int, scale: float):
    w, x = points(1, d, seed=1) * scale, points(200, d)
    model = affine(w, torch.tensor([0.1 * scale]))
    exact = (x @ w.T + 0.1 * scale)[:, 0].abs() / w.norm()
    expected = exact.clamp(max=CAP)
    for found in (first_order(model, x, None), attack(model, x, x, None)):
        assert found.mean == pytest.approx(float(expected.mean()), rel=1e-4)
        assert found.median == pytest.approx(float(expected.median()), rel=1e-3, abs=1e-6)
        assert found.se == pytest.approx(float(expected.std()) / math.sqrt(200), rel=1e-3)
        assert found.censored == pytest.approx(float((exact >= CAP).float().mean()), abs=1 / 200)


def linear_classifier(d: int, classes: int) -> tuple[nn.Module, Tensor, float]:
    """Return a linear classifier, points, and their exact mean distance to the nearest hyperplane
    of a rival."""
    w, b, x = points(classes, d, seed=1), points(1, classes, seed=2)[0] / 10, points(200, d)
    z = x @ w.T + b
    label = z.argmax(1)
    gaps, slopes = z.gather(1, label[:, None]) - z, (w[label][:, None] - w[None]).norm(dim=2)
    distance = torch.where(slopes > 0, gaps / slopes, torch.inf).amin(dim=1)
    return affine(w, b), x, float(distance.clamp(max=CAP).mean())


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("d", [2, 10, 100])
def test_first_order_distance_to_the_nearest_of_several_hyperplanes(d: int, classes: int):
    model, x, exact = linear_classifier(d, classes)
    assert first_order(model, x, classes).mean == pytest.approx(exact, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("d", [2, 10, 100])
def test_attack_distance_to_the_nearest_of_several_hyperplanes(d: int, classes: int):
    model, x, exact = linear_classifier(d, classes)
    assert attack(model, x, x, classes).mean == pytest.approx(exact, rel=1e-4)


def test_each_change_found_changes_the_label_and_lies_at_its_distance():
    w, x = points(4, 6, seed=1), points(300, 6)
    model = affine(w, torch.zeros(4))
    found = nearest_change(model, x, x, 4)
    assert not bool((predicted(model(found), 4) == predicted(model(x), 4)).any())


# Flat and distant points


HINGE = nn.Sequential(
    affine(torch.tensor([[1.0]]), torch.tensor([0.0])),
    nn.ReLU(),
    affine(torch.tensor([[1.0]]), torch.tensor([-0.4])),
)
"""relu(x) − 0.4: flat below 0, and the boundary at 0.4."""


def test_points_without_a_gradient_are_censored_and_left_out_of_the_first_order_mean():
    x = torch.tensor([[-0.5], [-0.1], [0.2], [0.5]])
    found = first_order(HINGE, x, None)
    assert found.mean == pytest.approx((0.2 + 0.1) / 2)
    assert found.censored == 0.5
    assert found.median == pytest.approx(0.2), (
        "flat points rank as the cap; of four values the lower middle one"
    )


def test_the_attack_gets_out_of_flat_regions():
    x = torch.tensor([[-0.5], [-0.1], [0.2], [0.5]])
    found = attack(HINGE, x, torch.tensor([[0.9], [-0.9]]), None)
    assert found.mean == pytest.approx((0.9 + 0.5 + 0.2 + 0.1) / 4, rel=1e-3)
    assert found.censored == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 10, 100])
def test_the_attack_gets_out_of_flat_regions_in_any_direction(d: int):
    """relu(⟨w, x⟩) − 0.1 with ‖w‖ = 1 from points inside the flat side. The only starts lie far
    away."""
    w = nn.functional.normalize(points(1, d, seed=3), dim=1)
    model = nn.Sequential(
        affine(w, torch.tensor([0.0])),
        nn.ReLU(),
        affine(torch.tensor([[1.0]]), torch.tensor([-0.1])),
    )
    depth = torch.linspace(0.01, 0.3, 50)
    across = points(50, d, seed=4)
    x = 0.3 * (across - (across @ w.T) * w) - depth[:, None] * w
    far = x + 5 * w + 3 * points(50, d, seed=5)
    found = attack(model, x, far[model(far)[:, 0] > 0], None)
    assert found.mean == pytest.approx(float((depth + 0.1).mean()), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("cap", [0.3, 1.0, 3.0])
def test_distances_above_the_cap_count_as_the_cap(cap: float):
    model, x = (
        affine(torch.tensor([[2.0]]), torch.tensor([0.0])),
        torch.tensor([[0.1], [-0.25], [0.5], [1.5], [2.5]]),
    )
    exact = x.abs()[:, 0]
    for found in (first_order(model, x, None, cap), attack(model, x, x, None, cap)):
        assert found.mean == pytest.approx(float(exact.clamp(max=cap).mean()), rel=1e-3)
        assert found.censored == pytest.approx(float((exact >= cap).float().mean()))


class Constant(nn.Module):
    """The same output everywhere."""

    def __init__(self, output: list[float]):
        super().__init__()
        self.output = torch.tensor(output)

    def forward(self, x: Tensor) -> Tensor:
        return 0 * x.sum(1, keepdim=True) + self.output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "classes"),
    [(Constant([-1.0]), None), (Constant([1.0, 3.0, 2.0]), 3)],
    ids=["±1", "classes"],
)
def test_a_model_that_never_changes_its_label(model: nn.Module, classes: int | None):
    x = points(10, 3)
    linear, found = first_order(model, x, classes), attack(model, x, x, classes)
    assert math.isnan(linear.mean) and math.isnan(linear.se)
    assert (linear.median, linear.censored) == (CAP, 1.0)
    assert found == Stability(mean=CAP, se=0.0, median=CAP, censored=1.0)
    assert bool(nearest_change(model, x, x, classes).isnan().all())


@pytest.mark.slow
def test_the_attack_is_reproducible_and_leaves_its_inputs_alone():
    net, x = trained_net(3, 5, 1, seed=0).torch(), points(50, 3)
    before = x.clone()
    assert torch.equal(nearest_change(net, x, x, None), nearest_change(net, x, x, None))
    assert torch.equal(x, before)
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.slow
def test_images_keep_their_shape():
    model = nn.Sequential(nn.Flatten(), affine(points(1, 12, seed=1), torch.zeros(1)))
    x = points(20, 12).reshape(20, 1, 3, 4)
    assert nearest_change(model, x, x, None).shape == x.shape
    flat = attack(model[1], x.flatten(1), x.flatten(1), None)
    assert tuple(attack(model, x, x, None)) == pytest.approx(tuple(flat), rel=1e-5)


@pytest.mark.slow
def test_each_run_of_points_uses_its_own_starts():
    model, x, starts = (
        trained_net(3, 5, 1, seed=0).torch(),
        points(60, 3),
        points(80, 3, seed=8).unflatten(0, (2, 40)),
    )
    runs, draws = x.unflatten(0, (2, 30)), wander(x)
    together = boundary.nearest_change(model, x, starts, None, draws).change
    apart = [
        boundary.nearest_change(
            model, runs[g], starts[g : g + 1], None, draws[:, 30 * g : 30 * (g + 1)]
        ).change
        for g in (0, 1)
    ]

    # a boundary is found to 3e-5
    torch.testing.assert_close(together, torch.cat(apart), rtol=1e-4, atol=1e-5)


def test_a_flat_point_moves_towards_a_known_change():
    """relu(⟨w, x⟩ − 0.05) − 0.05 in 100 dimensions: x lies flat, and in so many dimensions no
    random direction leads anywhere."""
    w = nn.functional.normalize(points(1, 100, seed=3), dim=1)
    model = nn.Sequential(
        affine(w, torch.tensor([-0.05])),
        nn.ReLU(),
        affine(torch.tensor([[1.0]]), torch.tensor([-0.05])),
    )
    across = points(50, 100, seed=4)
    x = 0.5 * (across - (across @ w.T) * w) - 0.1 * w
    far = x + 2 * w + 0.7 * points(50, 100, seed=5)
    found = nearest_change(model, x, far[model(far)[:, 0] > 0], None)
    assert float((found - x).norm(dim=1).mean()) == pytest.approx(0.2, rel=0.02)
