"""Injected label noise: the share of labels changed, the levels that follow from it, and where
it may not reach.

Run alone: python -m pytest tests/test_noise.py
"""

import math

import pytest
import torch

from harness.noise import Noise, flip_labels, resample_labels

N = 20_000


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("eta", [0.0, 0.01, 0.1, 0.3, 0.5])
def test_flip_rate_and_variance(eta: float):
    y = torch.ones(N)
    y[::2] = -1
    flipped, noise = flip_labels(y, eta, draw())
    se = math.sqrt(eta * (1 - eta) / N)
    assert abs(float((flipped != y).float().mean()) - eta) <= 4 * se
    sigma2 = 4 * eta * (1 - eta)
    kind = "label_flip" if eta else "none"
    assert noise == Noise(kind, eta, bayes_error=eta, sigma2=sigma2)
    # σ² is the variance of the label given x, so around the conditional mean (1 − 2η)·y.
    variance = float((flipped - (1 - 2 * eta) * y).square().mean())
    assert variance == pytest.approx(sigma2, abs=16 * se)
    assert set(flipped.tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize("eta", [0.1, 0.3, 0.5])
def test_the_bayes_error_of_a_flipped_sign_is_the_best_guessers_error(eta: float):
    y = torch.ones(N)
    flipped, noise = flip_labels(y, eta, draw())
    se = math.sqrt(eta * (1 - eta) / N)
    assert abs(float((flipped != y).float().mean()) - noise.bayes_error) <= 4 * se


@pytest.mark.parametrize("eta", [0.0, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_resample_rate_and_bayes_error(classes: int, eta: float):
    y = torch.arange(N) % classes
    redrawn, noise = resample_labels(y, classes, eta, draw())
    bayes = eta * (1 - 1 / classes)
    se = math.sqrt(bayes * (1 - bayes) / N)
    assert abs(float((redrawn != y).float().mean()) - bayes) <= 4 * se
    assert noise == Noise("label_resample" if eta else "none", eta, bayes_error=bayes)
    assert redrawn.dtype == torch.int64
    assert 0 <= int(redrawn.min()) and int(redrawn.max()) < classes


def test_redrawn_labels_are_uniform_over_all_classes():
    redrawn, _ = resample_labels(torch.zeros(N, dtype=torch.int64), 4, 1.0, draw())
    shares = torch.bincount(redrawn, minlength=4) / N
    assert (shares - 0.25).abs().max() <= 4 * math.sqrt(0.25 * 0.75 / N)


def test_noise_comes_from_its_generator_and_leaves_the_labels_alone():
    y = torch.ones(100)
    first, again, other = (flip_labels(y, 0.3, draw(seed))[0] for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(y, torch.ones(100))


def test_more_noise_flips_the_same_labels_and_more():
    y = torch.ones(N)
    few, many = (flip_labels(y, eta, draw())[0] < 0 for eta in (0.1, 0.3))
    assert not bool((few & ~many).any())


@pytest.mark.parametrize(
    ("noise", "level"),
    [
        (Noise("label_flip", 0.2, bayes_error=0.2, sigma2=0.64), 0.64),
        (Noise("label_resample", 0.3, bayes_error=0.27), 0.27),
        (Noise("additive_sign", None, bayes_error=0.5, sigma2=1.0), 1.0),
        (Noise("none", 0.0, bayes_error=0.0, sigma2=0.0), 0.0),
        (Noise("none", None, bayes_error=0.0), 0.0),
    ],
)
def test_epsilon_is_half_the_level(noise: Noise, level: float):
    assert (noise.level, noise.epsilon) == (level, level / 2)
