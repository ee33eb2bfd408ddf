"""Compute the exact l2 Lipschitz constant of two-layer ReLU networks small enough to try every
activation pattern, and make 200 such networks.

z = A relu(Wx + b) is linear wherever its pattern of active units is constant, with the matrix A D W
there, D the diagonal of the pattern. Its constant is the largest norm of those matrices over the
patterns that occur on an open set.
"""

import itertools
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linprog
from torch import nn


class SmallNet(NamedTuple):
    """z = A relu(Wx + b): W (width, d), b (width,), A (outputs, width), float64, and the
    constant that enumeration finds."""

    W: np.ndarray
    b: np.ndarray
    A: np.ndarray
    exact: float

    def module(self) -> nn.Sequential:
        """Return the same network in float64, (B, d) to (B, outputs)."""
        width, d = self.W.shape
        module = nn.Sequential(
            nn.Linear(d, width), nn.ReLU(), nn.Linear(width, len(self.A), bias=False)
        ).double()
        arrays = {"0.weight": self.W, "0.bias": self.b, "2.weight": self.A}
        module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        return module


def exact_lipschitz(W: np.ndarray, b: np.ndarray, A: np.ndarray) -> float:
    """Return the largest ‖A D W‖₂ over the patterns D that occur. Norms fall along the list, so the
    first pattern that occurs gives the answer."""
    turning = np.linalg.norm(W, axis=1) > 0  # other units are constant
    W, b, A = W[turning], b[turning], A[:, turning]
    patterns = np.array(list(itertools.product((0.0, 1.0), repeat=len(W))))
    norms = np.linalg.norm(A @ (patterns[:, :, None] * W), ord=2, axis=(1, 2))
    return next(float(norms[i]) for i in np.argsort(-norms) if occurs(W, b, patterns[i]))


def occurs(W: np.ndarray, b: np.ndarray, pattern: np.ndarray) -> bool:
    """Return whether exactly the units of `pattern` are active on some open set, by a linear
    program that looks for a point well inside."""
    signs, lengths = 2 * pattern - 1, np.linalg.norm(W, axis=1)
    # sign·(wx + b) ≥ t·‖w‖: at least t away from every hyperplane
    inside = np.column_stack([-signs[:, None] * W, lengths])
    free = [(None, None)] * W.shape[1]
    found = linprog([0.0] * W.shape[1] + [-1.0], inside, signs * b, bounds=[*free, (None, 1.0)])
    return found.x is not None and bool((signs * (W @ found.x[:-1] + b) > 1e-9 * lengths).all())


@cache
def small_nets() -> tuple[SmallNet, ...]:
    """Return 200 random networks with d ≤ 4, width ≤ 8 and 1 to 3 outputs."""
    rng = np.random.default_rng(0)
    nets = []
    for _ in range(200):
        d, width, outputs = (int(rng.integers(1, most + 1)) for most in (4, 8, 3))
        W, b, A = (
            rng.standard_normal((width, d)),
            rng.standard_normal(width),
            rng.standard_normal((outputs, width)),
        )
        nets.append(SmallNet(W, b, A, exact_lipschitz(W, b, A)))
    return tuple(nets)
