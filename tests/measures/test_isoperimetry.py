"""The constant c of the law's isoperimetry against cases where it is known.

Run alone: python -m pytest tests/measures/test_isoperimetry.py
"""

import math

import numpy as np
import pytest

from harness.measures.isoperimetry import isoperimetry


def unit_of(x: np.ndarray) -> float:
    return float(np.linalg.norm(x - x.mean(0), axis=1).mean())


@pytest.mark.slow
@pytest.mark.parametrize("d", [8, 64, 784])
def test_the_sphere_stays_below_its_constant(d):
    """On the sphere c is 1, also where there are as many dimensions as points."""
    x = np.random.default_rng(d).standard_normal((1000, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    found = isoperimetry(x, unit_of(x))
    assert 0.4 < found.isoperimetry_c < 1.0
    assert found.isoperimetry_c_variance == pytest.approx(1 / (2 + 2 * math.log(2)), rel=0.2)


def test_one_long_direction_needs_a_large_constant():
    """With nearly all variance along one direction of d, λ is about π/2 data units² (the unit is
    E|x| = sqrt(2/π)·σ), so c is at least d·π/2/3.39 by the variance."""
    d = 50
    x = np.random.default_rng(0).standard_normal((1000, d)) * np.r_[1.0, np.full(d - 1, 1e-3)]
    found = isoperimetry(x, unit_of(x))
    assert found.isoperimetry_c_variance == pytest.approx(d * math.pi / 2 / 3.386, rel=0.1)
    assert found.isoperimetry_c > found.isoperimetry_c_variance


def test_two_points_by_hand():
    """±1 in one dimension: every input lies 1 from the mean, so c = 1/(2·ln 2) from the tails."""
    x = np.array([[1.0], [-1.0]] * 100)
    found = isoperimetry(x, 1.0)
    assert found.isoperimetry_c == pytest.approx(1 / (2 * math.log(2)), rel=0.3)


def test_copies_of_one_point_have_no_constant():
    assert all(math.isnan(v) for v in isoperimetry(np.ones((20, 3)), 0.0))
