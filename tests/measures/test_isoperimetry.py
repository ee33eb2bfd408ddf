"""The constant c of the law's isoperimetry against cases where it is known.

Run alone: python -m pytest tests/measures/test_isoperimetry.py
"""

import math

import numpy as np
import pytest

from harness.measures.isoperimetry import isoperimetry, within_classes


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


@pytest.mark.parametrize(("classes", "stretch"), [(2, 1.0), (10, 1.0), (10, 3.0)])
def test_a_mixture_of_normal_classes_has_the_constant_of_its_parts(classes, stretch):
    """A normal part with largest standard deviation s has c = d·s²/unit² exactly (Gaussian
    concentration). Means that lie far apart raise the constant of the whole, not of the parts."""
    d = 30
    rng = np.random.default_rng(classes)
    y = rng.integers(classes, size=1000)
    means = 20 * rng.standard_normal((classes, d)) / math.sqrt(d)
    x = means[y] + rng.standard_normal((1000, d)) * np.r_[stretch, np.ones(d - 1)]

    unit = unit_of(x)
    true = d * stretch**2 / unit**2
    found = within_classes(x, y, unit)
    assert 0.5 * true < found < true
    assert isoperimetry(x, unit).isoperimetry_c > 2 * true


def test_labels_that_say_nothing_change_nothing():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1000, 16))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    whole = isoperimetry(x, unit_of(x)).isoperimetry_c
    assert within_classes(x, rng.integers(4, size=1000), unit_of(x)) == pytest.approx(
        whole, rel=0.2
    )


@pytest.mark.parametrize("counts", [(1000,), (985, 15), (5,) * 200], ids=str)
def test_without_two_classes_of_twenty_there_is_no_constant_within(counts):
    x = np.random.default_rng(0).standard_normal((1000, 3))
    assert math.isnan(within_classes(x, np.repeat(np.arange(len(counts)), counts), unit_of(x)))
