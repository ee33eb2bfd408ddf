"""Exact Lipschitz constants of two-layer networks: the enumeration is right, and the upper bound
lies above it.

Run alone: python -m pytest tests/measures/test_exact_lipschitz.py
"""

import numpy as np
import pytest

from tests.measures.exact_lipschitz import SmallNet, exact_lipschitz, small_nets
from tests.measures.linear_algebra import bound

KNOWN: dict[str, tuple[list[list[float]], list[float], list[list[float]], float]] = {
    "absolute value": ([[1], [-1]], [0, 0], [[1, 1]], 1),
    "identity": ([[1], [-1]], [0, 0], [[1, -1]], 1),
    "units that are never active together": ([[1], [-1]], [-1, -1], [[1, 1]], 1),
    "units that are active together near 0": ([[1], [-1]], [1, 1], [[1, -1]], 2),
    "cancelling": ([[2, 1], [2, 1]], [1, 1], [[1, -1]], 0),
    "a constant unit": ([[0, 0], [3, 4]], [1, 0], [[100, 1]], 5),
    "nothing": ([[0, 0]], [0], [[1]], 0),
    "two outputs": ([[1, 0], [0, 1]], [0, 0], [[3, 0], [0, 4]], 4),
}
"""W, b, A, constant."""


@pytest.mark.parametrize("name", KNOWN)
def test_enumeration_finds_constants_worked_out_by_hand(name: str):
    *arrays, constant = KNOWN[name]
    W, b, A = (np.array(a, dtype=float) for a in arrays)
    assert exact_lipschitz(W, b, A) == pytest.approx(constant)


def jacobian_norms(net: SmallNet, points: np.ndarray) -> np.ndarray:
    """Return the norms (points,) of A D W."""
    active = points @ net.W.T + net.b > 0
    return np.linalg.norm(net.A @ (active[:, :, None] * net.W), ord=2, axis=(1, 2))


@pytest.mark.slow
def test_on_the_line_enumeration_agrees_with_the_slopes_between_kinks():
    nets = [net for net in small_nets() if net.W.shape[1] == 1]
    assert len(nets) > 30
    for net in nets:
        kinks = np.sort(-net.b / net.W[:, 0])
        between = np.concatenate([[kinks[0] - 1], (kinks[:-1] + kinks[1:]) / 2, [kinks[-1] + 1]])
        assert net.exact == pytest.approx(jacobian_norms(net, between[:, None]).max())


@pytest.mark.slow
def test_the_exact_constant_lies_between_sampled_slopes_and_the_upper_bound():
    rng = np.random.default_rng(1)
    reached = 0
    for net in small_nets():
        d = net.W.shape[1]
        points = rng.standard_normal((500, d)) * np.exp(rng.uniform(-2, 4, (500, 1)))
        sampled = jacobian_norms(net, points).max()
        assert sampled <= net.exact * (1 + 1e-9) and net.exact <= bound(net.module(), d) * (
            1 + 1e-12
        )
        reached += sampled >= net.exact * (1 - 1e-9)

    assert reached > 150, (
        "regions are few, and most of them wide: sampling must nearly always find the steepest"
    )
