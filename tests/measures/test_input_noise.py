"""Accuracy, changed predictions, and moved outputs and probabilities under input noise, by hand and
for linear maps.

Run alone: python -m pytest tests/measures/test_input_noise.py
"""

import math

import pytest
import torch
from torch import nn

from harness.measures.input_noise import RADII, NoiseResponse, kl_divergence, noise_response


def points(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def normal_cdf(z: torch.Tensor) -> torch.Tensor:
    return (1 + torch.erf(z / math.sqrt(2))) / 2


def response(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, classes: int | None, seed: int = 1
) -> NoiseResponse:
    return noise_response(
        model, x, y, classes, torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    )


@pytest.mark.parametrize("classes", [None, 2])
@pytest.mark.parametrize("d", [2, 10, 300])
def test_flip_rate_of_a_linear_classifier(d: int, classes: int | None):
    """Noise of root-mean-square length r has standard deviation r/√d along any direction, so a
    point at distance t from a flat boundary flips with probability Φ(−t√d/r)."""
    n, w = 4000, torch.nn.functional.normalize(points(1, d, seed=2))
    x = points(n, d) / math.sqrt(d)
    t = (x @ w.T)[:, 0]
    model = nn.Linear(d, classes or 1)

    with torch.no_grad():
        model.weight.copy_(w if classes is None else torch.cat([w, -w]))
        model.bias.zero_()
    labels = torch.where(t >= 0, 1.0, -1.0) if classes is None else (t < 0).long()
    found = response(model, x, labels, classes)

    assert found.right.shape == found.flipped.shape == found.change.shape == (n, len(RADII))
    assert torch.equal(found.right, ~found.flipped), (
        "where the clean prediction is right, what did not flip is right"
    )

    for radius, flips in zip(RADII, found.flipped.float().mean(0).tolist(), strict=True):
        probability = normal_cdf(-t.abs() * math.sqrt(d) / radius)
        se = float((probability * (1 - probability)).sum().sqrt()) / n
        assert abs(flips - float(probability.mean())) <= 4 * se


def test_noise_length_is_the_stated_radius():
    class Keeper(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = []

        def forward(self, x):
            self.seen.append(x)
            return x[:, :1]

    model, x = Keeper(), points(2000, 50)
    response(model, x, torch.ones(2000), None)
    clean, *noisy = model.seen
    assert torch.equal(clean, x)
    for radius, z in zip(RADII, noisy, strict=True):
        # r²/d times chi-squared with d degrees: relative deviation √(2/d)
        squares = (z - x).square().sum(1)
        assert float(squares.mean()) == pytest.approx(radius**2, rel=4 * math.sqrt(2 / 50 / 2000))
    torch.testing.assert_close(
        (noisy[0] - x) / RADII[0], (noisy[-1] - x) / RADII[-1], rtol=1e-3, atol=1e-3
    )


def test_right_compares_with_the_label_and_flipped_with_the_clean_prediction():
    always = nn.Linear(3, 1)
    with torch.no_grad():
        always.weight.zero_()
        always.bias.fill_(1.0)
    y = torch.tensor([1.0] * 30 + [-1.0] * 70)
    found = response(always, points(100, 3), y, None)
    assert torch.equal(found.right, (y > 0)[:, None].expand(100, len(RADII)))
    assert not bool(found.flipped.any()) and not bool(found.change.any())


@pytest.mark.slow
@pytest.mark.parametrize(("d", "classes"), [(1, None), (7, None), (7, 3), (300, 10)])
def test_outputs_of_a_linear_map_move_by_its_weights(d: int, classes: int | None):
    """Outputs move by exactly ‖W · noise‖ at every point, and by ‖W‖_F² r²/d in mean square,
    whatever the bias."""
    n, outputs = 20_000, classes or 1
    model = nn.Linear(d, outputs)
    with torch.no_grad():
        model.weight.copy_(points(outputs, d, seed=3))
        model.bias.fill_(5.0)

    normal = points(n, d, seed=1)
    labels = torch.ones(n) if classes is None else torch.zeros(n, dtype=torch.long)
    found = noise_response(model, points(n, d), labels, classes, normal).change
    moved = (normal @ model.weight.detach().T).norm(dim=1) / math.sqrt(d)
    gram = model.weight.detach() @ model.weight.detach().T  # Var ‖Wν‖² = 2 ‖WWᵀ‖_F² (r²/d)²
    deviation = float((2 * gram.square().sum()).sqrt() / gram.trace()) / math.sqrt(n)

    for radius, change in zip(RADII, found.T, strict=True):
        torch.testing.assert_close(change, radius * moved, rtol=1e-3, atol=1e-4)
        assert float(change.square().mean()) == pytest.approx(
            float(gram.trace()) * radius**2 / d, rel=4 * deviation
        )


def test_real_valued_targets_are_judged_by_sign():
    model = nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.fill_(1.0)
        model.bias.zero_()
    x = torch.tensor([[100.0], [-100.0]])
    assert bool(response(model, x, torch.tensor([0.01, -0.3]), None).right.all())


def test_the_noise_is_what_was_drawn():
    torch.manual_seed(0)
    model, x, y = nn.Linear(3, 4), points(500, 3), torch.zeros(500, dtype=torch.long)
    one, again, other = (response(model, x, y, 4, seed) for seed in (1, 1, 2))
    for a, b, c in zip(one, again, other, strict=True):
        assert a is not None and b is not None and c is not None
        assert torch.equal(a, b) and not torch.equal(a, c)


# Divergence


@pytest.mark.parametrize(
    ("p", "q"),
    [
        ([0.5, 0.5], [0.9, 0.1]),
        ([0.9, 0.1], [0.5, 0.5]),
        ([0.2, 0.3, 0.5], [0.5, 0.3, 0.2]),
        ([1e-6, 1 - 1e-6], [0.5, 0.5]),
    ],
)
@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_divergence_by_hand(p: list[float], q: list[float], shift: float):
    """Adding a constant to all logits changes nothing, and equal distributions give exactly 0."""
    clean, other = (
        torch.tensor([probabilities], dtype=torch.double).log() for probabilities in (p, q)
    )
    expected = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert float(kl_divergence(clean, other + shift)) == pytest.approx(expected, rel=1e-9)
    assert float(kl_divergence(clean, clean)) == 0.0


def test_divergence_is_never_negative_and_stays_finite_where_a_probability_vanishes():
    z = 10 * points(1000, 50)
    nearly = z + 1e-6 * points(1000, 50, seed=1)
    assert float(kl_divergence(z, nearly).min()) >= 0
    assert (
        float(kl_divergence(torch.tensor([[0.0, -2000.0]]), torch.tensor([[0.0, -1000.0]]))) == 0.0
    )
    assert float(
        kl_divergence(torch.tensor([[0.0, -1000.0]]), torch.tensor([[-1000.0, 0.0]]))
    ) == pytest.approx(1000.0)


@pytest.mark.parametrize("classes", [2, 10])
def test_divergence_of_a_linear_classifier_under_noise(classes: int):
    """It is the divergence of the probabilities at every point and radius, and ½ δᵀ (diag p − ppᵀ)
    δ for a small change δ of the logits."""
    n, d = 200, 20
    torch.manual_seed(0)
    model, x, normal = (
        nn.Linear(d, classes).double(),
        points(n, d).double(),
        points(n, d, seed=1).double(),
    )
    found = noise_response(model, x, torch.zeros(n, dtype=torch.long), classes, normal)

    assert found.kl is not None and found.kl.shape == (n, len(RADII))
    with torch.no_grad():
        p = model(x).softmax(1)
        for radius, kl in zip(RADII, found.kl.T, strict=True):
            q = model(x + radius * normal / math.sqrt(d)).softmax(1)
            torch.testing.assert_close(kl, (p * (p / q).log()).sum(1), rtol=1e-9, atol=1e-12)
        change = RADII[0] / math.sqrt(d) * normal @ model.weight.T
        quadratic = ((p * change.square()).sum(1) - (p * change).sum(1).square()) / 2
        torch.testing.assert_close(found.kl[:, 0], quadratic, rtol=0.1, atol=0)


def test_a_scalar_target_has_no_divergence():
    torch.manual_seed(0)
    assert response(nn.Linear(3, 1), points(5, 3), torch.ones(5), None).kl is None
