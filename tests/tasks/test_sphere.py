"""The sphere task: points of length 1, a bounded target, noise of the stated level, and data
that no model size moves.

Run alone: python -m pytest tests/tasks/test_sphere.py
"""

import math

import pytest
import torch

from harness.task import Data, Seeds
from tasks.sphere import HELD_OUT, Sphere, SphereConfig, on_sphere


def data(seed: int = 0, **fields) -> Data:
    return Sphere().data(SphereConfig(**fields), Seeds(seed))


@pytest.mark.parametrize("d", [2, 3, 16, 1000])
def test_points_have_length_one_and_no_preferred_direction(d: int):
    n = 4000
    x = on_sphere(n, d, torch.Generator().manual_seed(0))
    assert torch.allclose(x.norm(dim=1), torch.ones(n), atol=1e-5)
    assert x.mean(0).norm() <= 4 / math.sqrt(n)  # E‖mean‖² = 1/n
    # Var x_i² ≤ 2/d²
    assert (x.square().mean(0) - 1 / d).abs().max() <= 6 * math.sqrt(2) / d / math.sqrt(n)


@pytest.mark.parametrize("d", [8, 64, 512])
def test_random_points_are_root_two_apart(d: int):
    a, b = on_sphere(2000, d, torch.Generator().manual_seed(0)).split(1000)
    assert float((a - b).norm(dim=1).square().mean()) == pytest.approx(
        2.0, abs=4 * 2 / math.sqrt(d * 1000)
    )


def test_shapes_and_levels():
    made = data(n=50, d=7, noise=0.5)
    assert made.x_train.shape == (50, 7) and made.y_train.shape == (50,)
    assert made.x_test.shape == (HELD_OUT, 7) and made.y_test.shape == (HELD_OUT,)
    assert (made.classes, made.manifold) == (None, "unit-sphere")


@pytest.mark.parametrize("noise", [0.1, 0.5, 1.0])
def test_noise_level_is_the_variance_left_by_the_clean_target(noise: float):
    n, made = 20_000, data(n=20_000, d=4, noise=noise)
    assert made.noise.sigma2 == noise**2
    if noise < 1:  # the direction of the planted target is the first draw of the data stream
        u = on_sphere(1, 4, Seeds(0).generator("data"))[0]
        clean = (1 - noise) * torch.sin(math.sqrt(4) * made.x_train @ u)
    else:
        clean = torch.zeros(n)
    coins = (made.y_train - clean) / noise
    assert torch.allclose(coins.abs(), torch.ones(n), atol=1e-4), (
        "what is left is a coin of amplitude `noise`"
    )
    assert abs(float(coins.mean())) <= 4 / math.sqrt(n)


@pytest.mark.parametrize("noise", [0.01, 0.5, 1.0])
def test_targets_are_bounded_by_one(noise: float):
    made = data(n=5000, d=9, noise=noise)
    assert float(made.y_train.abs().max()) <= 1 + 1e-6
    assert float(made.y_test.abs().max()) <= 1 + 1e-6


def test_held_out_targets_are_clean_where_a_clean_target_exists():
    u = on_sphere(1, 9, Seeds(0).generator("data"))[0]
    planted, pure = data(n=10, d=9, noise=0.25), data(n=10, d=9, noise=1.0)
    torch.testing.assert_close(planted.y_test, torch.sin(3 * planted.x_test @ u))
    assert set(pure.y_test.tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize(
    "field",
    [
        {"width": 999},
        {"depth": 5},
        {"lr": 0.1},
        {"batch_size": 1},
        {"max_epochs": 1},
        {"stop": "epochs"},
    ],
)
def test_data_do_not_depend_on_the_model_or_its_training(field: dict):
    assert data(**field).content_hash() == data().content_hash()


@pytest.mark.parametrize("field", [{"n": 257}, {"d": 17}, {"noise": 0.9}, {"seed": 1}])
def test_data_depend_on_n_d_noise_and_seed(field: dict):
    assert data(**field).content_hash() != data().content_hash()


def test_held_out_points_are_the_same_for_every_n():
    assert torch.equal(data(n=10).x_test, data(n=1000).x_test)
    assert torch.equal(data(n=10).x_train, data(n=1000).x_train[:10]), (
        "and training sets are nested in n"
    )
    assert torch.equal(data(n=10).y_train, data(n=1000).y_train[:10])


def test_held_out_and_training_points_differ():
    made = data(n=500, d=3)
    assert float(torch.cdist(made.x_train, made.x_test).min()) > 0
