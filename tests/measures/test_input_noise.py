"""Accuracy and changed predictions under input noise, against the normal distribution for linear classifiers."""

import math

import pytest
import torch
from torch import nn

from harness.measures.input_noise import RADII, noise_response


def points(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def normal_cdf(z: torch.Tensor) -> torch.Tensor:
    return (1 + torch.erf(z / math.sqrt(2))) / 2


def response(model: nn.Module, x: torch.Tensor, y: torch.Tensor, classes: int | None, unit: float, seed: int = 1):
    return noise_response(model, x, y, classes, unit, torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("unit", [1.0, 0.1, 30.0])
@pytest.mark.parametrize("classes", [None, 2])
@pytest.mark.parametrize("d", [2, 10, 300])
def test_flip_rate_of_a_linear_classifier(d: int, classes: int | None, unit: float):
    """Noise of root-mean-square length r·unit has standard deviation r·unit/√d along any direction, so a point at
    distance t from a flat boundary flips with probability Φ(−t√d/(r·unit))."""
    n, w = 4000, torch.nn.functional.normalize(points(1, d, seed=2))
    x = points(n, d) * unit / math.sqrt(d)
    t = (x @ w.T)[:, 0]
    model = nn.Linear(d, classes or 1)
    with torch.no_grad():
        model.weight.copy_(w if classes is None else torch.cat([w, -w]))
        model.bias.zero_()
    labels = torch.where(t >= 0, 1.0, -1.0) if classes is None else (t < 0).long()
    found = response(model, x, labels, classes, unit)
    for radius, flips, accuracy in zip(RADII, found.flip_rate, found.accuracy, strict=True):
        probability = normal_cdf(-t.abs() * math.sqrt(d) / (radius * unit))
        se = float((probability * (1 - probability)).sum().sqrt()) / n
        assert abs(flips - float(probability.mean())) <= 4 * se
        assert accuracy == pytest.approx(1 - flips), "where the clean prediction is right, accuracy is what did not flip"


def test_noise_length_is_the_stated_radius_in_data_units():
    class Keeper(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = []

        def forward(self, x):
            self.seen.append(x)
            return x[:, :1]

    model, x, unit = Keeper(), points(2000, 50), 7.0
    response(model, x, torch.ones(2000), None, unit)
    clean, *noisy = model.seen
    assert torch.equal(clean, x)
    for radius, z in zip(RADII, noisy, strict=True):
        squares = (z - x).square().sum(1)  # (r·unit)²/d times chi-squared with d degrees: relative deviation √(2/d)
        assert float(squares.mean()) == pytest.approx((radius * unit) ** 2, rel=4 * math.sqrt(2 / 50 / 2000))
    torch.testing.assert_close((noisy[0] - x) / RADII[0], (noisy[-1] - x) / RADII[-1], rtol=1e-3, atol=1e-3)


def test_accuracy_counts_right_answers_and_its_standard_error():
    always = nn.Linear(3, 1)
    with torch.no_grad():
        always.weight.zero_()
        always.bias.fill_(1.0)
    y = torch.tensor([1.0] * 30 + [-1.0] * 70)
    found = response(always, points(100, 3), y, None, 1.0)
    assert found.accuracy == pytest.approx([0.3] * len(RADII))
    assert found.flip_rate == [0.0] * len(RADII)
    assert found.accuracy_se == pytest.approx([math.sqrt(0.3 * 0.7 / 100)] * len(RADII))


def test_real_valued_targets_are_judged_by_sign():
    model = nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.fill_(1.0)
        model.bias.zero_()
    x = torch.tensor([[100.0], [-100.0]])
    assert response(model, x, torch.tensor([0.01, -0.3]), None, 1.0).accuracy == [1.0] * len(RADII)


def test_the_noise_is_what_was_drawn():
    torch.manual_seed(0)
    model, x, y = nn.Linear(3, 1), points(500, 3), torch.ones(500)
    assert response(model, x, y, None, 1.0, seed=1) == response(model, x, y, None, 1.0, seed=1)
    assert response(model, x, y, None, 1.0, seed=1) != response(model, x, y, None, 1.0, seed=2)
