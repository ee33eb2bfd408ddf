"""The training radius by hand: two and four points, equal labels, copies with opposite labels, and
its standard error.

Run alone: python -m pytest tests/measures/test_training_radius.py
"""

import dataclasses

import pytest
import torch
from torch import nn

from harness.measures import STABILITY_CAP, measure
from harness.measures.training_radius import training_radius
from harness.measures.training_radius_columns import training_radius_columns
from harness.noise import Noise
from harness.store.schema import Columns
from harness.task import Data, Seeds
from harness.training.stack import Alone

COIN = Noise("label_flip", 0.5, 0.5, sigma2=1.0)
"""Labels that say nothing: R*/2 = 1/4."""


def found(x: list[float], y: list[int], noise: Noise = COIN, bias: float = 0.0) -> Columns:
    """Return the columns of f(x) = x₁ + bias on training points (x, 0)."""
    inputs = torch.tensor([[v, 0.0] for v in x])
    held_out = torch.tensor([[2.0, 1.0], [-2.0, -1.0]])
    data = Data(inputs, torch.tensor(y).float(), held_out, torch.tensor([1.0, -1.0]), noise)
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 0.0]]))
        model.bias.fill_(bias)
    return columns_of(model, data, Seeds(0))


def columns_of(model: nn.Module, data: Data, seeds: Seeds) -> Columns:
    """Return what `measure` says of the training radius of one model, without its other columns."""
    program = Alone(model)
    program.train(False)
    unit = data.unit()
    points = len(data.x_train)
    (columns,) = training_radius_columns(program, [data], [seeds], [unit], points)
    return columns | {"data_unit": unit}


def test_of_two_points_none_may_be_lost():
    """⌊2/4⌋ = 0, so the radius is the smaller distance, as in every case below by hand."""
    c = found([-0.3, 0.5], [-1, 1])
    assert c["training_radius_l2"] == pytest.approx(0.3, rel=1e-4)
    assert c["training_radius"] * c["data_unit"] == c["training_radius_l2"]
    assert (c["training_radius_points"], c["training_radius_se"]) == (2, 0.0)


def test_of_four_points_one_may_be_lost():
    c = found([-0.3, 0.5, -0.7, 0.9], [-1, 1, -1, 1])
    assert c["training_radius_l2"] == pytest.approx(0.5, rel=1e-4)


def test_a_wrong_answer_is_at_distance_0_and_spends_the_budget():
    one_wrong = found([-0.3, 0.5, -0.7, 0.9], [-1, 1, 1, 1])
    assert one_wrong["training_radius_l2"] == pytest.approx(0.3, rel=1e-4)
    two_wrong = found([-0.3, 0.5, -0.7, 0.9], [-1, 1, 1, -1])
    assert two_wrong["training_radius"] == 0.0


def test_copies_with_opposite_labels_only_spend_the_budget():
    c = found([0.4, 0.4, -0.6, 0.8], [1, -1, -1, 1])
    assert c["training_radius_l2"] == pytest.approx(0.4, rel=1e-4)


def test_a_model_that_gives_one_answer_everywhere_is_censored():
    """All labels equal: no input has a wrong answer, which the row says."""
    x = torch.arange(16.0).reshape(8, 2)
    data = Data(x, torch.ones(8), x + 1, torch.ones(8), COIN)
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.fill_(1.0)
    columns = columns_of(model, data, Seeds(0))
    assert columns["training_radius"] == STABILITY_CAP
    assert columns["training_radius_censored"] == 1.0


def test_null_without_injected_noise_and_off_the_sphere():
    without = found([-0.3, 0.5], [-1, 1], Noise("none", 0.0, 0.0))
    assert "training_radius" not in without
    c = found([-0.3, 0.5], [-1, 1])
    assert c["training_radius_chord"] is None


DISTANCES = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])


@pytest.mark.parametrize(
    ("bayes_error", "rank"), [(0.5, 2), (0.25, 1), (0.2499, 0), (0.9, 3), (1.0, 4)]
)
def test_the_robust_error_is_at_most_half_the_bayes_error_up_to_it_and_no_further(
    bayes_error: float, rank: int
):
    radius = training_radius(DISTANCES.flip(0), bayes_error, of=8, cap=1.0).radius
    assert radius == pytest.approx(float(DISTANCES[rank]))
    assert float((DISTANCES < radius - 1e-6).float().mean()) <= bayes_error / 2
    assert float((DISTANCES < radius + 1e-6).float().mean()) > bayes_error / 2


def test_the_standard_error_is_the_bootstraps():
    draw = torch.Generator().manual_seed(0)
    distance = torch.rand(40, generator=draw).square()
    again = torch.stack(
        [distance[torch.randint(40, (40,), generator=draw)].sort().values for _ in range(4000)]
    )
    exact = training_radius(distance, 0.5, of=10**9, cap=1.0)
    assert exact.se == pytest.approx(float(again[:, 10].std()), rel=0.05)
    assert training_radius(distance, 0.5, of=80, cap=1.0).se == pytest.approx(exact.se / 2**0.5)
    assert training_radius(distance, 0.5, of=40, cap=1.0).se == 0.0


@pytest.mark.slow
def test_the_draw_is_that_of_the_seed_with_the_labels_trained_on():
    """Another label at a measured point changes the figure, a held-out one does not."""

    def radius(data: Data) -> float:
        return columns_of(linear(), data, Seeds(1))["training_radius"]

    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(3))
    y = torch.where(linear()(x).detach()[:, 0] >= 0, 1.0, -1.0)
    data = Data(x, y, x + 0.1, y, COIN)
    assert radius(data) > 0
    assert radius(dataclasses.replace(data, y_test=-y)) == radius(data)
    assert radius(dataclasses.replace(data, y_train=-y)) == 0


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


@pytest.mark.slow
def test_it_is_among_the_measured_columns():
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(3))
    data = Data(x, torch.ones(16), x + 0.1, torch.ones(16), COIN)
    (measured,) = measure(Alone(linear()), [data], [Seeds(1)], 16)
    alone = columns_of(linear(), data, Seeds(1))
    assert {name: measured.columns[name] for name in alone} == alone
