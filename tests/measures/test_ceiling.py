"""The ceiling on training radii against every way to give points up.

Run alone: python -m pytest tests/measures/test_ceiling.py
"""

import dataclasses
import math
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from harness.measures.ceiling import radius_ceiling
from harness.measures.ceiling_columns import ceiling_columns
from harness.noise import Noise
from harness.task import Data


def brute_force(x, y, give_up, sphere=False):
    """Return the largest radius over every choice of the points given up."""
    best = 0.0
    n = len(x)
    for kept in combinations(range(n), n - give_up):
        apart = [
            float(np.linalg.norm(x[i] - x[j])) for i, j in combinations(kept, 2) if y[i] != y[j]
        ]
        if not apart:
            return math.inf
        nearest = min(apart)
        half_angle = math.asin(nearest / 2) if sphere else 0.0
        best = max(best, 2 * math.sin(half_angle / 2) if sphere else nearest / 2)
    return best


def points(seed, n, sphere):
    x = np.random.default_rng(seed).standard_normal((n, 3))
    return x / np.linalg.norm(x, axis=1, keepdims=True) if sphere else x


@pytest.mark.slow
@pytest.mark.parametrize("sphere", [False, True])
@pytest.mark.parametrize("give_up", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_two_classes_are_exact(seed, give_up, sphere):
    n = 7 + seed % 3
    x = points(seed, n, sphere)
    y = np.random.default_rng(100 + seed).choice([-1.0, 1.0], n)
    expected = brute_force(x, y, give_up, sphere)
    assert radius_ceiling(x, y, give_up, sphere) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(6))
def test_more_classes_are_never_below_the_truth(seed):
    x = points(seed, 9, False)
    y = np.random.default_rng(seed).integers(4, size=9)
    assert radius_ceiling(x, y, 2) >= brute_force(x, y, 2) - 1e-12


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("give_up", [0, 3, 40])
def test_blocks_and_few_pairs_change_nothing(classes, give_up, monkeypatch):
    """Blocks of a few rows against a matching over all pairs: just below the ceiling few enough
    points are given up, at it too many. Many distances tie."""
    monkeypatch.setattr("harness.measures.ceiling.BLOCK", 500)
    rng = np.random.default_rng(classes)
    x = rng.integers(0, 9, (150, 3)).astype(float)
    y = rng.integers(classes, size=150)
    limit = 2 * radius_ceiling(x, y, give_up)

    apart = np.linalg.norm(x[:, None] - x, axis=2)
    given_up = []
    for near in (apart < limit - 1e-9, apart < limit + 1e-9):
        edges = csr_matrix(near & (y[:, None] != y))
        # every pair twice: in a graph of two classes the matching doubles, in others it is halved
        given_up.append((maximum_bipartite_matching(edges) >= 0).sum() / 2)
    assert given_up[0] <= give_up < given_up[1]


def test_two_points_and_their_copies_by_hand():
    x, y = np.array([[0.0], [3.0]]), np.array([1, -1])
    assert radius_ceiling(x, y, 0) == 1.5
    assert radius_ceiling(x, y, 1) == math.inf
    copies = np.array([[0.0], [0.0], [3.0]])
    assert radius_ceiling(copies, np.array([1, -1, -1]), 0) == 0
    assert radius_ceiling(copies, np.array([1, -1, -1]), 1) == math.inf
    assert radius_ceiling(x, np.array([1, 1]), 0) == math.inf


def test_caps_over_the_poles_touch_at_the_equator():
    """Opposite points of the sphere: each cap is a hemisphere of chord √2."""
    x, y = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([1, -1])
    assert radius_ceiling(x, y, 0, sphere=True) == pytest.approx(math.sqrt(2))


def pure_noise(n: int, d: int = 64, seed: int = 0) -> Data:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n + 5, d, generator=draw)
    x = x / x.norm(dim=1, keepdim=True)
    y = torch.randint(2, (n + 5,), generator=draw) * 2.0 - 1
    noise = Noise("additive_sign", None, 0.5, sigma2=1.0)
    return Data(x[:n], y[:n], x[n:], y[n:], noise, manifold="unit-sphere")


def test_the_columns_of_pure_noise_on_the_sphere():
    """A quarter of the points may be given up. In 64 dimensions r∞ of 500 points is about .55."""
    data = pure_noise(500)
    found = ceiling_columns(data, 1.0)
    assert found["radius_ceiling_points"] == 500 and 0.4 < found["radius_ceiling"] < 0.7
    exact = radius_ceiling(data.x_train.numpy(), data.y_train.numpy(), 125)
    assert found["radius_ceiling"] == exact
    assert ceiling_columns(data, 2.0)["radius_ceiling"] == exact / 2


@pytest.mark.slow
def test_a_part_of_many_points_gives_a_higher_ceiling(monkeypatch):
    data = pure_noise(1000)
    whole = ceiling_columns(data, 1.0)["radius_ceiling"]
    monkeypatch.setattr("harness.measures.ceiling_columns.MOST", 300)
    part = ceiling_columns(data, 1.0)
    assert part["radius_ceiling_points"] == 300 and part["radius_ceiling"] > whole


def test_without_noise_there_is_nothing_to_give_up():
    clean = dataclasses.replace(pure_noise(20), noise=Noise("none", 0.0, 0.0, sigma2=0.0))
    assert ceiling_columns(clean, 1.0) == {}
    one_label = dataclasses.replace(pure_noise(20), y_train=torch.ones(20))
    assert ceiling_columns(one_label, 1.0)["radius_ceiling"] is None
