"""Min-norm random features on the sphere: S against p dips at p = n, and is never above published
figures by more than 2 %.

The setting is a toy of the law of von Berg et al. 2026 (arXiv 2603.02806): d = 20, n = 100, labels
sign(x₁) of which 15 % are flipped, g(x) = ⟨a, relu(W x)⟩/√p with W drawn once and a of minimum norm
(least squares below p = n), 150 held-out points, means over three seeds. The order of the draws is
that of `rf_margin_toy.py` in msrepo/theory_inclined_papers_with_annotations.

Run alone: python -m pytest tests/measures/test_known_answers_random_features.py
"""

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.measures import measure
from harness.noise import Noise
from harness.store.schema import Columns
from harness.task import Data, Seeds
from harness.training.evaluation import wrong
from harness.training.stack import stack

pytestmark = pytest.mark.slow

D, N, FLIPPED, HELD_OUT = 20, 100, 0.15, 150
MOST = {20: 0.157, 50: 0.140, 80: 0.126, 100: 0.122, 200: 0.144, 1000: 0.167, 3000: 0.155}
"""p → S in raw ℓ2, not to be exceeded by more than 2 %."""

FEW = (20, 100, 1000)
"""Below, at and above p = n. The others are left to `make soak`."""


def on_sphere(draw: np.random.Generator, count: int) -> np.ndarray:
    x = draw.standard_normal((count, D))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def noisy_labels(draw: np.random.Generator, x: np.ndarray) -> np.ndarray:
    clean = np.sign(x[:, 0])
    return np.where(draw.random(len(x)) < FLIPPED, -clean, clean)


def tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).float()


def fitted(p: int, seed: int) -> tuple[nn.Module, Data]:
    """Draws in this order: training inputs, their flips, features, held-out inputs, their flips."""
    draw = np.random.default_rng(seed)
    x = on_sphere(draw, N)
    y = noisy_labels(draw, x)
    features = draw.standard_normal((p, D))
    hidden = np.maximum(x @ features.T, 0) / np.sqrt(p)
    weights = np.linalg.pinv(hidden) @ y
    x_test = on_sphere(draw, HELD_OUT)
    y_test = noisy_labels(draw, x_test)

    first = nn.Linear(D, p, bias=False)
    last = nn.Linear(p, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(tensor(features))
        last.weight.copy_(tensor(weights / np.sqrt(p))[None])
    noise = Noise("label_flip", FLIPPED, FLIPPED, sigma2=4 * FLIPPED * (1 - FLIPPED))
    data = Data(tensor(x), tensor(y), tensor(x_test), tensor(y_test), noise)
    return nn.Sequential(first, nn.ReLU(), last), data


@cache
def columns(p: int) -> tuple[Columns, ...]:
    """Return the columns of three seeds, measured as one stack."""
    made = [fitted(p, seed) for seed in range(3)]
    data = [samples for _, samples in made]
    program = stack([model for model, _ in made], data[0].x_train[:4])
    measured = measure(program, data, [Seeds(seed) for seed in range(3)], (HELD_OUT, N, 8))
    return tuple(of_model.columns for of_model in measured)


def s(p: int) -> float:
    return float(np.mean([c["stability_attack_mean_l2"] for c in columns(p)]))


@pytest.mark.parametrize(
    "p", [pytest.param(p, marks=() if p in FEW else pytest.mark.soak) for p in MOST]
)
def test_s_is_never_above_the_known_figures(p: int):
    assert s(p) <= 1.02 * MOST[p]


@pytest.mark.parametrize("sizes", [FEW, pytest.param(tuple(MOST), marks=pytest.mark.soak)])
def test_s_dips_where_p_is_n(sizes: tuple[int, ...]):
    assert s(N) < min(s(p) for p in sizes if p != N)


@pytest.mark.parametrize(
    "p", [20, 100, *(pytest.param(p, marks=pytest.mark.soak) for p in (50, 3000))]
)
def test_small_p_is_not_below_the_noise(p: int):
    """±1 targets are judged by their squared error, the radius by its 0-1 error."""
    for seed, c in enumerate(columns(p)):
        model, data = fitted(p, seed)
        with torch.no_grad():
            output = model(data.x_train)
        squared = float((output.reshape(-1) - data.y_train).square().mean())
        assert (squared <= data.noise.level - data.noise.epsilon) == (p >= N)
        error = float(wrong(output, data.y_train, None).float().mean())
        assert (c["training_radius"] > 0) == (error <= FLIPPED / 2)
