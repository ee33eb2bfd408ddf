"""Input gradients and margins: exact on linear maps, by formula along the sphere, by finite
differences elsewhere.

Run alone: python -m pytest tests/measures/test_gradients.py
"""

import pytest
import torch
from torch import Tensor, nn

from harness.measures import gradients
from harness.measures.gradients import (
    GradientNorms,
    linear_distance,
    margin_values,
    margins,
    slopes,
)
from harness.training.evaluation import predicted
from harness.training.stack import Model
from tasks.models import MadryCNN, mlp


def linear(weight: list[list[float]], bias: list[float]) -> nn.Linear:
    model = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        model.weight.copy_(torch.tensor(weight))
        model.bias.copy_(torch.tensor(bias))
    return model


def points(n: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def gradient_norms(model: Model, x: Tensor, classes: int | None, on_sphere: bool) -> GradientNorms:
    label = predicted(model(x).detach(), classes)
    return gradients.gradient_norms(margins(model, x, label, classes), x, on_sphere)


def test_labels():
    assert predicted(torch.tensor([[0.5], [-0.1], [0.0]]), None).tolist() == [1.0, -1.0, 1.0]
    assert predicted(torch.tensor([[1.0, 3.0, 2.0], [4.0, 3.0, 2.0]]), 3).tolist() == [1, 0]


def test_margins_of_a_label():
    assert margin_values(
        torch.tensor([[0.5], [-2.0]]), torch.tensor([1.0, 1.0]), None
    ).tolist() == [[0.5], [-2.0]]
    values = margin_values(torch.tensor([[1.0, 3.0, 2.5]]), torch.tensor([1]), 3)
    assert values.tolist() == [[2.0, float("inf"), 0.5]]


@pytest.mark.parametrize("d", [1, 3, 50])
def test_norms_of_a_scalar_linear_map(d: int):
    w = points(1, d)
    model = linear(w.tolist(), [0.3])
    norms = gradient_norms(model, points(20, d), None, on_sphere=False)
    for found in norms:
        assert found.tolist() == pytest.approx([float(w.norm())] * 20)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_norms_of_a_linear_classifier_come_from_its_top_two_rows(classes: int):
    w, x = points(classes, 6), points(30, 6) * 3
    norms = gradient_norms(linear(w.tolist(), [0.0] * classes), x, classes, on_sphere=False)
    top = (x @ w.T).topk(2, dim=1).indices
    expected = (w[top[:, 0]] - w[top[:, 1]]).norm(dim=1)
    for found in norms:
        assert found.tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize("radius", [1.0, 0.7])
@pytest.mark.parametrize("d", [2, 3, 20])
def test_tangential_gradient_on_the_sphere(d: int, radius: float):
    """It is the part of w across x: sqrt(‖w‖² − ⟨w, x⟩²) for |x| = 1, and the same at every
    radius."""
    w, x = points(1, d), torch.nn.functional.normalize(points(40, d))
    norms = gradient_norms(linear(w.tolist(), [0.0]), radius * x, None, on_sphere=True)
    expected = (w.square().sum() - (x @ w.T)[:, 0].square()).clamp(min=0).sqrt()
    assert norms.tangential.tolist() == pytest.approx(
        expected.tolist(), rel=1e-4, abs=1e-3 * float(w.norm())
    )
    assert float(norms.tangential.max()) == pytest.approx(float(expected.max()), rel=1e-5)
    assert float(norms.tangential.mean()) == pytest.approx(float(expected.mean()), rel=1e-5)
    assert norms.ambient.tolist() == pytest.approx([float(w.norm())] * 40)


class Radial(nn.Module):
    """A function of only the distance from the origin: it has no gradient along the sphere."""

    def forward(self, x: Tensor) -> Tensor:
        return x.square().sum(1, keepdim=True)


def test_a_radial_function_has_no_tangential_gradient():
    norms = gradient_norms(
        Radial(), torch.nn.functional.normalize(points(40, 5)), None, on_sphere=True
    )
    assert float(norms.tangential.max()) < 1e-5
    assert norms.ambient.tolist() == pytest.approx([2.0] * 40)


MODELS = {
    "mlp, ±1": (lambda: mlp(6, 9, 2, 1), (6,), None),
    "mlp, classes": (lambda: mlp(6, 9, 2, 4), (6,), 4),
    "smooth, classes": (
        lambda: nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 3)),
        (6,),
        3,
    ),
    "cnn, classes": (lambda: MadryCNN(1, 10), (1, 28, 28), 10),
}


@pytest.mark.parametrize(("make", "shape", "classes"), MODELS.values(), ids=MODELS.keys())
def test_margin_gradients_against_finite_differences(
    make, shape: tuple[int, ...], classes: int | None
):
    torch.manual_seed(0)
    model, x = make().double(), points(8, *shape, dtype=torch.float64)
    label = predicted(model(x), classes)
    found = margins(model, x, label, classes)
    torch.testing.assert_close(found.values, margin_values(model(x), label, classes).detach())
    step = 1e-6 * torch.nn.functional.normalize(
        points(8, *shape, dtype=torch.float64).flatten(1)
    ).reshape(x.shape)

    with torch.no_grad():
        ahead, behind = (margin_values(model(x + s), label, classes) for s in (step, -step))
    along = (found.gradients.flatten(2) * step.flatten(1)[:, None]).sum(2)
    own = found.values.isinf()
    torch.testing.assert_close(along[~own], ((ahead - behind) / 2)[~own], rtol=1e-4, atol=1e-13)

    assert bool((found.gradients.flatten(2).norm(dim=2)[own] == 0).all())
    assert int(own.sum()) == (0 if classes is None else 8)


def test_the_nearest_rival_is_by_distance_not_by_margin():
    """Rival 1 has the smaller margin and a flat slope; rival 2 a larger margin and a steep one,
    so it is nearer."""
    model = linear([[0.0, 0.0], [0.1, 0.0], [0.0, 5.0]], [0.0, -0.5, -1.0])
    x = torch.zeros(1, 2)
    found = margins(model, x, torch.tensor([0]), 3)
    assert float(linear_distance(found, slopes(found))) == pytest.approx(1 / 5)


def test_flat_points_have_no_finite_distance():
    model = nn.Sequential(linear([[1.0]], [0.0]), nn.ReLU(), linear([[1.0]], [-1.0]))
    found = margins(model, torch.tensor([[-1.0], [0.5]]), torch.tensor([-1.0, -1.0]), None)
    assert linear_distance(found, slopes(found)).tolist() == [float("inf"), 0.5]
