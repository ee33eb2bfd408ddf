"""A bound on the logits bounds log-probabilities and margins, and certifies the distance within
which no label changes.

Run alone: python -m pytest tests/measures/test_certified_distance.py
"""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.func import jacrev
from torch.nn import functional as F

from harness.measures.lipschitz_upper import (
    MARGIN_FACTOR,
    certified_distance,
    log_probability_factor,
)
from tasks.models import mlp
from tests.measures.linear_algebra import bound


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def log_softmax_jacobian(z: Tensor) -> Tensor:
    return jacrev(lambda z: F.log_softmax(z, 0))(z.double())


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3, 10, 50])
def test_log_probabilities_are_at_most_root_k_steeper_and_reach_it_at_a_corner(classes: int):
    factor = log_probability_factor(classes)
    for scale in (0.0, 0.3, 3.0, 30.0):
        z = scale * torch.randn(classes, dtype=torch.float64)
        norm = float(torch.linalg.matrix_norm(log_softmax_jacobian(z), ord=2))
        assert norm == pytest.approx(factor * float(F.softmax(z, 0).norm()))
        assert norm <= factor * (1 + 1e-12)

    corner = torch.zeros(classes).index_fill(0, torch.tensor(1), 50.0)
    assert float(torch.linalg.matrix_norm(log_softmax_jacobian(corner), ord=2)) == pytest.approx(
        factor
    )


def test_a_margin_of_orthogonal_logits_is_root_two_steeper():
    logits = nn.Linear(5, 5, bias=False)
    rows = nn.init.orthogonal_(logits.weight).detach()
    assert float((rows[0] - rows[3]).norm()) == pytest.approx(MARGIN_FACTOR * bound(logits, 5))


@pytest.mark.parametrize("d", [1, 4, 30])
def test_for_a_linear_classifier_of_two_labels_the_distance_is_exact(d: int):
    model, x = nn.Linear(d, 1).double(), torch.randn(50, d, dtype=torch.float64)
    with torch.no_grad():
        f = model(x)[:, 0]
    assert torch.allclose(
        certified_distance(f, bound(model, d), None), f.abs() / float(model.weight.detach().norm())
    )


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("d", [2, 6, 30])
def test_for_a_linear_classifier_of_more_labels_the_distance_is_never_above_the_exact_one(
    d: int, classes: int
):
    """Equal where the two logits' rows are opposite, which two classes with opposite rows always
    are."""
    model, x = nn.Linear(d, classes).double(), torch.randn(200, d, dtype=torch.float64)
    if classes == 2:
        model.weight.data[1] = -model.weight[0]
    with torch.no_grad():
        z = model(x)

    top = z.argmax(1)
    gaps, apart = (
        z.max(1).values[:, None] - z,
        (model.weight[top][:, None] - model.weight).norm(dim=2),
    )
    exact_distance = torch.where(apart > 0, gaps / apart, torch.inf).min(1).values
    margin = z.topk(2).values @ torch.tensor([1.0, -1.0], dtype=z.dtype)
    certified = certified_distance(margin, bound(model, d), classes)

    assert (
        certified.shape == (200,)
        and bool((certified <= exact_distance * (1 + 1e-12)).all())
        and bool((certified > 0).all())
    )

    if classes == 2:
        assert torch.allclose(certified, exact_distance)


@pytest.mark.parametrize("classes", [None, 3])
def test_a_constant_model_is_certified_everywhere(classes: int | None):
    assert certified_distance(torch.tensor([0.0, 1.0]), 0.0, classes).tolist() == [
        math.inf,
        math.inf,
    ]


def test_a_point_on_the_boundary_is_at_distance_zero():
    assert certified_distance(torch.tensor([0.0, -3.0]), 2.0, None).tolist() == [0.0, 1.5]


def test_certified_distance_of_a_network_is_respected_by_random_steps():
    model, x = mlp(6, 32, 2, 3).double(), torch.randn(300, 6, dtype=torch.float64)
    with torch.no_grad():
        top2 = model(x).topk(2)
        distance = certified_distance(top2.values[:, 0] - top2.values[:, 1], bound(model, 6), 3)
        step = F.normalize(torch.randn_like(x), dim=1) * distance[:, None]
        assert torch.equal(model(x + step).argmax(1), top2.indices[:, 0])
