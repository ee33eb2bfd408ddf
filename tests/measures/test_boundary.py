"""Distances to the decision boundary: exact on linear maps, and against exact distances of small
ReLU networks.

A network relu(W x + b) followed by a linear layer is affine wherever each hidden unit is on, off or
exactly at zero. So the nearest point of its boundary is the projection of x onto one of 3^h affine
sets, which can all be tried.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.measures import boundary
from harness.measures.boundary import WANDER_DIRECTIONS, Stability, l2_distance, stability
from harness.measures.gradients import linear_distance, margins, slopes
from harness.training.evaluation import predicted
from harness.training.stack import Model

CAP = 1.0


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def wander(x: Tensor) -> Tensor:
    return torch.randn(WANDER_DIRECTIONS, *x.shape, generator=generator())


def points(n: int, d: int, seed: int = 0) -> Tensor:
    """Points of length about 1, as in data units."""
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


# Linear maps


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
    """A linear classifier, points, and their exact mean distance: the nearest of the hyperplanes
    to all rivals."""
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


# Exact distances of small ReLU networks


class Net(NamedTuple):
    """z(x) = A relu(W x + b) + c, in float64."""

    W: np.ndarray
    b: np.ndarray
    A: np.ndarray
    c: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(x @ self.W.T + self.b, 0) @ self.A.T + self.c

    def torch(self) -> nn.Module:
        layers = [
            affine(torch.tensor(w).float(), torch.tensor(b).float())
            for w, b in ((self.W, self.b), (self.A, self.c))
        ]
        return nn.Sequential(layers[0], nn.ReLU(), layers[1])


def exact_distance(net: Net, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B,) distance from each x to the zero set of weights · z; inf where there is none."""
    nearest = np.full(len(x), np.inf)
    for states in itertools.product((-1, 0, 1), repeat=len(net.b)):  # off, at zero, on
        state = np.array(states)
        on, zero = state == 1, state == 0
        slope = weights @ net.A * on
        rows = np.vstack([slope @ net.W, net.W[zero]])
        goal = -np.concatenate([[slope @ net.b + weights @ net.c], net.b[zero]])
        z = x + (goal - x @ rows.T) @ np.linalg.pinv(rows).T
        hidden = z @ net.W.T + net.b
        inside = (np.abs(z @ rows.T - goal) < 1e-9).all(1) & (hidden * state >= -1e-9).all(1)
        nearest = np.where(inside, np.minimum(nearest, np.linalg.norm(z - x, axis=1)), nearest)
    return nearest


def exact(net: Net, x: Tensor, classes: int | None) -> Tensor:
    """(B,) distance from each x to the nearest point where its label stops being strictly on
    top."""
    at = x.double().numpy()
    if classes is None:
        return torch.tensor(exact_distance(net, at, np.ones(1)))
    label, unit = net(at).argmax(1), np.eye(classes)
    distance = np.full(len(at), np.inf)
    for k, j in itertools.permutations(range(classes), 2):
        mine = label == k
        distance[mine] = np.minimum(
            distance[mine], exact_distance(net, at[mine], unit[k] - unit[j])
        )
    return torch.tensor(distance)


def random_net(d: int, width: int, outputs: int, seed: int) -> Net:
    draw = np.random.default_rng(seed)
    shapes = ((width, d), (width,), (outputs, width), (outputs,))
    scales = (1.0, 0.3, 1 / math.sqrt(width), 0.1)
    return Net(
        *(scale * draw.standard_normal(shape) for scale, shape in zip(scales, shapes, strict=True))
    )


def trained_net(d: int, width: int, outputs: int, seed: int) -> Net:
    """Briefly trained on coin-flip labels, so that the boundary winds between the points."""
    start, x = random_net(d, width, outputs, seed), points(64, d, seed)
    y = torch.randint(max(outputs, 2), (64,), generator=generator(seed))
    model = start.torch()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(300):
        z = model(x)
        loss = (
            (z[:, 0] - (2.0 * y - 1)).square().mean()
            if outputs == 1
            else nn.functional.cross_entropy(z, y)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Net(*(p.detach().double().numpy() for p in model.parameters()))


def test_the_exact_distance_itself_on_a_net_worked_out_by_hand():
    """|x₁| − 1 = 0 has its zeros at x₁ = ±1."""
    net = Net(np.array([[1.0, 0], [-1.0, 0]]), np.zeros(2), np.ones((1, 2)), np.array([-1.0]))
    x = torch.tensor([[0.2, 5.0], [-0.3, 0.0], [3.0, 1.0], [0.0, 0.0]])
    assert exact(net, x, None).tolist() == pytest.approx([0.8, 0.7, 2.0, 1.0])


def test_the_exact_distance_is_where_a_fine_grid_puts_it():
    net, x = random_net(2, 5, 1, seed=3), points(20, 2)
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
    """For each of several nets the attack's and the exact distances of 200 points."""
    pairs = []
    for (d, width, outputs), seed in itertools.product(SHAPES, (0, 1, 2)):
        net, x, classes = (
            kind(d, width, outputs, seed),
            points(200, d, seed=7),
            None if outputs == 1 else outputs,
        )
        found = nearest_change(net.torch(), x, points(400, d, seed=8), classes)
        pairs.append(
            ((found - x).double().norm(dim=1).nan_to_num(nan=math.inf), exact(net, x, classes))
        )
    return pairs


@pytest.mark.parametrize("kind", [random_net, trained_net])
def test_the_attack_is_never_below_the_exact_distance(kind: Callable[..., Net]):
    for found, true in compared(kind):
        assert bool((found >= true - 1e-4).all())


@pytest.mark.parametrize("kind", [random_net, trained_net])
def test_the_attacks_mean_is_within_one_per_cent_of_the_exact_mean(kind: Callable[..., Net]):
    ratios = [
        float(found.clamp(max=CAP).mean() / true.clamp(max=CAP).mean())
        for found, true in compared(kind)
    ]
    assert sum(ratios) / len(ratios) <= 1.01
    assert max(ratios) <= 1.03


def test_the_attack_finds_nothing_only_where_there_is_nothing_near():
    for found, true in [*compared(random_net), *compared(trained_net)]:
        assert bool((true[found.isinf()] > 0.9 * CAP).all())


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


@pytest.mark.parametrize("d", [2, 10, 100])
def test_the_attack_gets_out_of_flat_regions_in_any_direction(d: int):
    """relu(⟨w, x⟩) − 0.1 with ‖w‖ = 1 from points inside the flat side; the only other points
    given lie far away."""
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


def test_the_attack_is_reproducible_and_leaves_its_inputs_alone():
    net, x = trained_net(3, 5, 1, seed=0).torch(), points(50, 3)
    before = x.clone()
    assert torch.equal(nearest_change(net, x, x, None), nearest_change(net, x, x, None))
    assert torch.equal(x, before)
    assert all(p.grad is None for p in net.parameters())


def test_images_keep_their_shape():
    model = nn.Sequential(nn.Flatten(), affine(points(1, 12, seed=1), torch.zeros(1)))
    x = points(20, 12).reshape(20, 1, 3, 4)
    assert nearest_change(model, x, x, None).shape == x.shape
    flat = attack(model[1], x.flatten(1), x.flatten(1), None)
    assert tuple(attack(model, x, x, None)) == pytest.approx(tuple(flat), rel=1e-5)


def test_each_run_of_points_begins_from_its_own_starts():
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


def test_a_flat_point_goes_on_towards_the_change_that_is_known():
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
