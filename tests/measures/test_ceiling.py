"""The ceiling on training radii against every way to give points up.

Run alone: python -m pytest tests/measures/test_ceiling.py
"""

import math
from itertools import combinations

import numpy as np
import pytest

from harness.measures.ceiling import radius_ceiling


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
