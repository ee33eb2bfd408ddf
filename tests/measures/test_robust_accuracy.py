"""The ℓ∞ search is exact on linear maps, stays in its box, and is nearly exact on small networks.
Robust accuracy and warnings agree with counts by hand.

Run alone: python -m pytest tests/measures/test_robust_accuracy.py
"""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor, nn

from harness.measures.boundary import nearest_change
from harness.measures.gradients import margins
from harness.measures.margin_descent import WANDER_DIRECTIONS
from harness.measures.robust_accuracy import (
    linf_distance,
    nearest_linf_change,
    robust_accuracy,
    warnings,
)
from harness.training.evaluation import predicted
from harness.training.stack import Model


def points(n: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed))


def linear(d: int, outputs: int) -> nn.Linear:
    draw, model = torch.Generator().manual_seed(1), nn.Linear(d, outputs)
    with torch.no_grad():
        model.weight.copy_(torch.randn(outputs, d, generator=draw) / math.sqrt(d))
        model.bias.copy_(-model.weight.sum(1) / 2 + 0.1 * torch.randn(outputs, generator=draw))
    return model


def found(model: Model, x: Tensor, classes: int | None, box: tuple[float, float] | None) -> Tensor:
    wander = torch.randn(WANDER_DIRECTIONS, *x.shape, generator=torch.Generator().manual_seed(2))
    l2 = nearest_change(model, x, x[None], classes, wander).change
    return nearest_linf_change(model, x, l2, classes, box)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [None, 2, 3, 10])
@pytest.mark.parametrize("d", [2, 10, 100])
def test_distance_to_the_nearest_of_several_hyperplanes(d: int, classes: int | None):
    model, x = linear(d, classes or 1), points(100, d)
    with torch.no_grad():
        z = model(x)
    if classes is None:
        exact = z[:, 0].abs() / model.weight.detach().abs().sum()
    else:
        label, w = z.argmax(1), model.weight.detach()
        slopes = (w[label][:, None] - w[None]).abs().sum(2)
        exact = torch.where(slopes > 0, (z.gather(1, label[:, None]) - z) / slopes, torch.inf).amin(
            1
        )

    distance = linf_distance(x, found(model, x, classes, None))
    assert bool((distance >= exact * (1 - 1e-4) - 1e-6).all())
    assert float(distance.mean() / exact.mean()) <= 1.002
    assert float((distance / exact).quantile(0.95)) <= 1.01


@pytest.mark.slow
@pytest.mark.parametrize("classes", [None, 3])
def test_changes_change_the_label_and_stay_in_the_box(classes: int | None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, classes or 1))
    x = points(200, 6)
    with torch.no_grad():
        model[2].bias -= model(x).mean(0)

    z = found(model, x, classes, (0.0, 1.0))
    there = ~z.flatten(1).isnan().any(1)
    assert int(there.sum()) > 50
    assert float(z[there].min()) >= 0.0 and float(z[there].max()) <= 1.0
    assert not bool(
        (predicted(model(z[there]), classes) == predicted(model(x[there]), classes)).any()
    )


@pytest.mark.slow
def test_in_a_box_the_distance_is_what_a_linear_program_finds():
    """min t with f(z) ≤ 0, |z − x| ≤ t and z in the box."""
    model, x = linear(5, 1), points(60, 5)
    w, b = model.weight.detach()[0].double().numpy(), model.bias.item()
    distance = linf_distance(x, found(model, x, None, (0.0, 1.0)))
    for i, own in enumerate(x.double().numpy()):
        sign = 1.0 if own @ w + b >= 0 else -1.0
        eye, ones = np.eye(5), np.ones((5, 1))
        rows = np.vstack(
            [np.append(sign * w, 0.0), np.hstack([eye, -ones]), np.hstack([-eye, -ones])]
        )
        limits = np.concatenate([[-sign * b], own, -own])
        best = linprog([0.0] * 5 + [1.0], rows, limits, bounds=[(0, 1)] * 5 + [(0, None)])
        if best.status == 0:
            assert float(distance[i]) == pytest.approx(best.fun, rel=2e-2, abs=1e-4)
            assert float(distance[i]) >= best.fun * (1 - 1e-4) - 1e-6
        else:
            assert math.isinf(float(distance[i]))


def exact_linf(model: nn.Sequential, x: Tensor) -> np.ndarray:
    """Return the ℓ∞ distances (B,) to the zero set of a scalar two-layer ReLU network, by one
    linear program per activation pattern."""
    W, b, a, c = (p.detach().double().numpy() for p in model.parameters())
    at, nearest = x.double().numpy(), np.full(len(x), np.inf)
    d = W.shape[1]
    for i, pattern in itertools.product(
        range(len(at)), itertools.product((0.0, 1.0), repeat=len(W))
    ):
        on = np.array(pattern)
        sign, slope = 2 * on - 1, a[0] * on
        rows = np.vstack(
            [
                np.hstack([-sign[:, None] * W, np.zeros((len(W), 1))]),
                np.hstack([np.eye(d), -np.ones((d, 1))]),
                np.hstack([-np.eye(d), -np.ones((d, 1))]),
            ]
        )
        limits = np.concatenate([sign * b, at[i], -at[i]])
        best = linprog(
            [0.0] * d + [1.0],
            rows,
            limits,
            A_eq=[np.append(slope @ W, 0.0)],
            b_eq=[-(slope @ b + c[0])],
            bounds=[(None, None)] * d + [(0, None)],
        )
        if best.status == 0:
            nearest[i] = min(nearest[i], best.fun)
    return nearest


@pytest.mark.slow
def test_distances_on_small_networks_are_near_the_exact_ones_and_never_below():
    torch.manual_seed(1)
    ratios = []
    for _ in range(3):
        model, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)), points(15, 3) - 0.5
        with torch.no_grad():
            model[2].bias -= model(x).mean(0)
        exact, distance = (
            exact_linf(model, x),
            linf_distance(x, found(model, x, None, None)).numpy(),
        )
        near = exact < 1
        assert (distance >= exact - 1e-4).all()
        ratios.append(np.minimum(distance[near], 1).mean() / exact[near].mean())
    assert np.mean(ratios) <= 1.02


def test_flat_points_move_towards_a_known_change():
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1))
    with torch.no_grad():
        for p, value in zip(model.parameters(), (1.0, 0.0, 1.0, -0.4), strict=True):
            p.fill_(value)
    x = torch.tensor([[-0.5], [0.2]])
    z = nearest_linf_change(model, x, torch.tensor([[0.9], [0.9]]), None, None)
    assert linf_distance(x, z).tolist() == pytest.approx([0.9, 0.2], rel=1e-3)


def test_accuracy_at_every_radius_by_hand():
    right, distance = (
        torch.tensor([True, True, True, False]),
        torch.tensor([0.1, 0.3, math.inf, 9.0]),
    )
    result = robust_accuracy(right, distance, (0.05, 0.1, 0.2, 0.5))
    assert result.accuracy == [0.75, 0.5, 0.5, 0.25]
    assert result.se[0] == pytest.approx(math.sqrt(0.75 * 0.25 / 4))


def test_warnings_say_what_is_wrong_and_nothing_else():
    model, x = linear(4, 1), points(20, 4)
    fine = margins(model, x, predicted(model(x), None), None)
    distance, beyond = torch.full((20,), 0.5), torch.full((20,), 0.6)
    assert warnings(fine, distance, None, beyond) == []
    assert warnings(fine, distance, torch.full((20,), 0.5), beyond) == []

    flat = fine._replace(
        gradients=torch.cat([torch.zeros_like(fine.gradients[:2]), fine.gradients[2:]])
    )
    assert warnings(flat, distance, None, beyond) == ["no gradient at 10% of the points"]

    lost = torch.cat([torch.tensor([math.inf]), distance[1:]])
    assert warnings(fine, lost, None, torch.full((20,), math.inf)) == [
        "no label change found for 1 points"
    ]
    assert warnings(fine, distance, None, torch.cat([torch.tensor([0.4]), beyond[1:]])) == [
        "random noise changed the label nearer than the search at 1 points"
    ]
    assert warnings(fine, distance, beyond, torch.full((20,), math.inf)) == [
        "the search went below a certified distance at 20 points"
    ]


def test_other_points_in_the_batch_do_not_matter():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    x = points(20, 4) - 0.5
    with torch.no_grad():
        model[2].bias -= model(x).mean(0)

    alone = nearest_linf_change(model, x, torch.full_like(x, torch.nan), None, None)
    beside = nearest_linf_change(
        model, torch.cat([x, 1e5 * x]), torch.full((40, 4), torch.nan), None, None
    )[:20]
    torch.testing.assert_close(beside, alone, rtol=1e-4, atol=1e-5, equal_nan=True)
