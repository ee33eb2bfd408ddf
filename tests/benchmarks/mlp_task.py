"""The task of the throughput benchmark: MLPs on random points of 784 dimensions whose labels
carry noise."""

import torch
from torch import nn

from harness.noise import flip_labels
from harness.task import Config, Data, Field, Seeds, Size, StopRule, Task


class PointsConfig(Config):
    """One epoch over 15 000 points."""

    n: int = Field(default=15_000, ge=2, description="training points")
    d: int = Field(default=784, ge=1, description="dimensions")
    stop: StopRule = Field(default="epochs", description="when training ends")
    max_epochs: int = Field(default=1, ge=1, description="epochs")
    batch_size: int = Field(default=256, ge=1, description="points per step")
    lr: float = Field(default=1e-3, gt=0, description="Adam's learning rate")
    width: int = Size(8, description="hidden units")


class Points(Task):
    """A halfspace with flipped labels."""

    name = "points"
    Config = PointsConfig

    def input_shape(self, config: PointsConfig) -> tuple[int, ...]:
        return (config.d,)

    def data(self, config: PointsConfig, seeds: Seeds) -> Data:
        draw = seeds.generator("data")
        x, x_test = (
            torch.randn(n, config.d, generator=draw) for n in (config.n, max(2, config.n // 15))
        )
        y, noise = flip_labels(torch.where(x[:, 0] >= 0, 1.0, -1.0), 0.2, seeds.generator("noise"))
        return Data(x, y, x_test, torch.where(x_test[:, 0] >= 0, 1.0, -1.0), noise)

    def model(self, config: PointsConfig) -> nn.Module:
        return nn.Sequential(
            nn.Linear(config.d, config.width), nn.ReLU(), nn.Linear(config.width, 1)
        )
