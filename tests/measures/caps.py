"""Build networks that fit any labels on the unit sphere by one bump per point (Shmalo 2026, arXiv
2607.07778), whose slopes and distances are known.

f(x) = Σ yᵢ·relu(⟨xᵢ, x⟩ − cos θ) / (1 − cos θ). It is yᵢ at xᵢ, falls to 0 at the rim of the cap of
half-angle θ around xᵢ, and is 0 outside all caps. No two caps may overlap: θ is at most half the
smallest angle between the points.

For θ = arccos 3/4, on the sphere of radius 1:
- the steepest slope along the sphere is cot(θ/2) = √7 = 2.6458, at the rims alone; in all of R^d it
  is 1/(1 − cos θ) = 4;
- from each xᵢ the nearest other label, or 0, lies 2·sin(θ/2) = .7071 away along the sphere, as a
  chord, and 1 − cos θ = .25 away in R^d, straight inwards.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.noise import Noise
from harness.task import Data

SQRT_7_SHAPES = ((500, 2486), (1000, 2764), (2000, 3041))
"""(n, d) at which random points on the sphere have cosines of at most 1/8, so that caps of
half-angle arccos 3/4 do not overlap."""

PURE_NOISE = Noise("label_flip", 0.5, 0.5, sigma2=1.0)
"""Labels that say nothing about the inputs: σ² = 1, R* = 1/2."""


class Caps(NamedTuple):
    """A network of caps, the samples that it fits, and what is known of it. Lengths are those of
    the inputs, not data units."""

    module: nn.Sequential
    """(B, d) to (B, 1)."""
    data: Data
    """The points and their labels for training; random points of the sphere held out, nearly all of
    which lie outside every cap."""
    theta: float

    @property
    def cosine(self) -> float:
        """Return cos θ, where a cap begins along its own direction."""
        return math.cos(self.theta)

    @property
    def tangential(self) -> float:
        """Return the Lipschitz constant along the sphere, cot(θ/2)."""
        return 1 / math.tan(self.theta / 2)

    @property
    def ambient(self) -> float:
        """Return the slope inside a cap in all of R^d, 1/(1 − cos θ)."""
        return 1 / (1 - math.cos(self.theta))

    @property
    def chord(self) -> float:
        """Return the distance from each point to the rim of its cap, 2·sin(θ/2), as a chord."""
        return 2 * math.sin(self.theta / 2)

    @property
    def inwards(self) -> float:
        """Return the distance from each point to where f reaches 0 in R^d, 1 − cos θ."""
        return 1 - math.cos(self.theta)


def caps(x: Tensor, y: Tensor, theta: float = math.acos(3 / 4), held_out: int = 256) -> Caps:
    """Return the network of caps of half-angle `theta` around x (n, d), for labels y (n,) of ±1.

    Raise ValueError when two caps overlap.
    """
    n, d = x.shape
    cosines = (x @ x.T).fill_diagonal_(-1.0)
    if float(cosines.max()) > math.cos(2 * theta) + 1e-6:
        raise ValueError(f"caps of half-angle {theta:.4f} overlap: a cosine is {cosines.max():.4f}")

    bumps = nn.Linear(d, n)
    labels = nn.Linear(n, 1, bias=False)
    height = 1 - math.cos(theta)
    with torch.no_grad():
        bumps.weight.copy_(x / height)
        bumps.bias.fill_(-math.cos(theta) / height)
        labels.weight.copy_(y[None])
    module = nn.Sequential(bumps, nn.ReLU(), labels)

    elsewhere = on_sphere(held_out, d, seed=1)
    label = torch.where(module(elsewhere).detach()[:, 0] >= 0, 1.0, -1.0)
    data = Data(x, y, elsewhere, label, PURE_NOISE, manifold="unit-sphere")
    return Caps(module, data, theta)


def caps_around_random_points(n: int, d: int, seed: int = 0) -> Caps:
    """Return √7 caps around random points of the sphere, with random labels."""
    return caps(on_sphere(n, d, seed), signs(n, seed))


def caps_around_unit_vectors(d: int, seed: int = 0) -> Caps:
    """Return √7 caps around the n = 2d unit vectors ±eᵢ, with random labels."""
    unit_vectors = torch.eye(d)
    return caps(torch.cat([unit_vectors, -unit_vectors]), signs(2 * d, seed))


def on_sphere(n: int, d: int, seed: int) -> Tensor:
    """Return random points (n, d) of length 1."""
    return F.normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=1)


def signs(n: int, seed: int) -> Tensor:
    """Return n random labels, ±1."""
    generator = torch.Generator().manual_seed(seed + 1000)
    return torch.randint(2, (n,), generator=generator) * 2.0 - 1
