"""Random points on a sphere: the law's own setting, where isoperimetry is proved and n, d and p are
all free.

    unilaw run sphere-law
"""

import math

import torch
from torch import Tensor, nn

from harness.noise import Noise
from harness.task import Config, Data, Field, Seeds, Size, Task
from tasks.models import mlp

HELD_OUT = 1000
"""Number of held-out points."""


class SphereConfig(Config):
    """x uniform on the unit sphere of R^d; y = (1 − noise)·g(x) + noise·s, with s = ±1 a fair
    coin."""

    n: int = Field(default=256, ge=2, le=10_000_000, description="training points")
    d: int = Field(
        default=16,
        ge=2,
        le=100_000,
        description="ambient dimension; the points lie on the sphere S^(d−1)",
    )
    noise: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description=(
            "amplitude of the ±1 coin in the target: σ² = noise²; 1 is pure noise, below 1 the rest"
            " is a smooth planted target g(x) = sin(√d·⟨u, x⟩)"
        ),
    )
    width: int = Size(64, le=1_000_000, description="hidden units per layer")
    depth: int = Field(default=1, ge=1, le=20, description="hidden layers")


class Sphere(Task):
    """Noise on the sphere, fitted by a ReLU network."""

    name = "sphere"
    Config = SphereConfig

    def input_shape(self, config: SphereConfig) -> tuple[int, ...]:
        return (config.d,)

    def data(self, config: SphereConfig, seeds: Seeds) -> Data:
        draw = seeds.generator("data")
        direction = on_sphere(1, config.d, draw)[0]
        x_test = on_sphere(HELD_OUT, config.d, draw)
        x_train = on_sphere(config.n, config.d, draw)

        count = HELD_OUT + config.n
        coins = torch.randint(2, (count,), generator=seeds.generator("noise")) * 2.0 - 1.0
        clean = torch.sin(math.sqrt(config.d) * torch.cat([x_test, x_train]) @ direction)
        y = (1 - config.noise) * clean + config.noise * coins

        # Where |(1 − noise)·g| < noise, the sign of y is the coin's, and no better than a fair
        # guess can be made. The Bayes error R* is half the share of these points.
        guessed = ((1 - config.noise) * clean).abs() < config.noise
        bayes_error = float(guessed.float().mean()) / 2
        noise = Noise("additive_sign", None, bayes_error, sigma2=config.noise**2)

        # Under pure noise there is no clean target: held-out points then have coins of their own.
        y_test = clean[:HELD_OUT] if config.noise < 1 else y[:HELD_OUT]
        return Data(x_train, y[HELD_OUT:], x_test, y_test, noise, manifold="unit-sphere")

    def model(self, config: SphereConfig) -> nn.Module:
        return mlp(config.d, config.width, config.depth, outputs=1)


def on_sphere(count: int, d: int, generator: torch.Generator) -> Tensor:
    """Return (count, d) points, uniform on the unit sphere."""
    x = torch.randn(count, d, generator=generator)
    return x / x.norm(dim=1, keepdim=True)
