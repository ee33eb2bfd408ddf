"""Compute exact distances to the decision boundary of small ReLU networks, by enumeration.

A network relu(W x + b) followed by a linear layer is affine wherever each hidden unit is on, off or
exactly at zero. So the nearest point of its boundary is the projection of x onto one of 3^h affine
sets, which can all be tried.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tests.measures.searches import affine, generator, points


class Net(NamedTuple):
    """z(x) = A relu(W x + b) + c, in float64."""

    W: np.ndarray
    b: np.ndarray
    A: np.ndarray
    c: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(x @ self.W.T + self.b, 0) @ self.A.T + self.c

    def torch(self) -> nn.Module:
        layers = [
            affine(torch.tensor(w).float(), torch.tensor(b).float())
            for w, b in ((self.W, self.b), (self.A, self.c))
        ]
        return nn.Sequential(layers[0], nn.ReLU(), layers[1])


def exact_distance(net: Net, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the distances (B,) from each x to the zero set of weights · z, inf where there is
    none."""
    nearest = np.full(len(x), np.inf)
    for states in itertools.product((-1, 0, 1), repeat=len(net.b)):  # off, at zero, on
        state = np.array(states)
        on, zero = state == 1, state == 0
        slope = weights @ net.A * on
        rows = np.vstack([slope @ net.W, net.W[zero]])
        goal = -np.concatenate([[slope @ net.b + weights @ net.c], net.b[zero]])
        z = x + (goal - x @ rows.T) @ np.linalg.pinv(rows).T
        hidden = z @ net.W.T + net.b
        inside = (np.abs(z @ rows.T - goal) < 1e-9).all(1) & (hidden * state >= -1e-9).all(1)
        nearest = np.where(inside, np.minimum(nearest, np.linalg.norm(z - x, axis=1)), nearest)
    return nearest


def exact(net: Net, x: Tensor, classes: int | None) -> Tensor:
    """Return the distances (B,) from each x to the nearest point where its label is no longer
    strictly on top."""
    at = x.double().numpy()
    if classes is None:
        return torch.tensor(exact_distance(net, at, np.ones(1)))
    label, unit = net(at).argmax(1), np.eye(classes)
    distance = np.full(len(at), np.inf)

    for k, j in itertools.permutations(range(classes), 2):
        rows = label == k
        distance[rows] = np.minimum(
            distance[rows], exact_distance(net, at[rows], unit[k] - unit[j])
        )
    return torch.tensor(distance)


def random_net(d: int, width: int, outputs: int, seed: int) -> Net:
    draw = np.random.default_rng(seed)
    shapes = ((width, d), (width,), (outputs, width), (outputs,))
    scales = (1.0, 0.3, 1 / math.sqrt(width), 0.1)
    return Net(
        *(scale * draw.standard_normal(shape) for scale, shape in zip(scales, shapes, strict=True))
    )


def trained_net(d: int, width: int, outputs: int, seed: int) -> Net:
    """Return a net trained briefly on coin-flip labels, so its boundary winds between the
    points."""
    start, x = random_net(d, width, outputs, seed), points(64, d, seed)
    y = torch.randint(max(outputs, 2), (64,), generator=generator(seed))
    model = start.torch()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)

    for _ in range(300):
        z = model(x)
        loss = (
            (z[:, 0] - (2.0 * y - 1)).square().mean()
            if outputs == 1
            else nn.functional.cross_entropy(z, y)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Net(*(p.detach().double().numpy() for p in model.parameters()))
