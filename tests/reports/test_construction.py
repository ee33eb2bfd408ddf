"""The cap construction: its angle against points that were drawn, and by hand in two dimensions.

Run alone: python -m pytest tests/reports/test_construction.py
"""

import math

import numpy as np
import pytest

from reports.construction import caps


@pytest.mark.parametrize(("n", "d"), [(50, 8), (200, 64)])
def test_the_half_angle_is_half_the_median_smallest_angle_of_uniform_points(n, d):
    rng = np.random.default_rng(2)
    smallest = []
    for _ in range(300):
        x = rng.standard_normal((n, d))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        cosines = x @ x.T
        np.fill_diagonal(cosines, -1)
        smallest.append(math.acos(cosines.max()))
    made = caps(n, d)
    assert made.p == n * (d + 2) + 1
    assert math.acos(1 - made.radius) == pytest.approx(float(np.median(smallest)) / 2, rel=0.02)


def test_on_a_circle_a_pair_lies_within_an_angle_with_probability_angle_over_pi():
    made = caps(3, 2)
    share = 1 - 0.5 ** (1 / 3)  # of three pairs none is nearer, with probability one half
    assert math.acos(1 - made.radius) == pytest.approx(math.pi * share / 2)
