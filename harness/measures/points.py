"""What models are measured with: held-out points, points to begin from, random directions. The same
for every model of a grid.

The points of several models lie one after another in one flat batch, and a model's copies of a
point side by side.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.measures.boundary import WANDER_DIRECTIONS
from harness.measures.corruption import draw_directions
from harness.measures.row_space import RowSpaceView
from harness.task import Data, Seeds
from harness.training.stack import Model, Program, flat

STARTS = 1024
"""Training points among which a nearest one with another label is looked for."""


class Draw:
    """What one data set is measured with under one seed. Inputs are in data units."""

    def __init__(self, data: Data, seeds: Seeds, points: int):
        device = data.x_test.device
        rows = torch.randperm(len(data.x_test), generator=seeds.generator("measure"))[:points].to(
            device
        )
        self.unit = data.unit()
        self.rows = rows
        self.x, self.y = data.x_test[rows] / self.unit, data.y_test[rows]
        self.centre = data.x_train.mean(0) / self.unit
        self.starts = data.x_train[:STARTS] / self.unit
        pairs = torch.randint(
            len(data.x_train), (2, points), generator=seeds.generator("off_data")
        ).to(device)
        self.train = data.x_train[pairs[0]] / self.unit
        self.partners = data.x_train[pairs[1]] / self.unit
        self.off_data = (self.train + self.partners) / 2
        if data.manifold == "unit-sphere":
            self.off_data = F.normalize(self.off_data, dim=1) / self.unit
        self.normal = torch.randn(self.x.shape, generator=seeds.generator("input_noise")).to(self.x)
        self.wander = torch.randn(
            WANDER_DIRECTIONS, *self.x.shape, generator=seeds.generator("wander")
        ).to(self.x)
        self.directions = draw_directions(len(self.x), seeds.generator("corruption")).to(self.x)


class Probe:
    """Some models and the draws of their data sets, one for each model; all of one kind of
    target, space and size."""

    def __init__(self, program: Program, samples: Sequence[Data], draws: Sequence[Draw]):
        self.draws, self.models = list(draws), len(draws)
        self.classes, self.box = samples[0].classes, samples[0].box
        self.on_sphere, self.images = (
            samples[0].manifold == "unit-sphere",
            samples[0].x_test.dim() == 4 and samples[0].box is not None,
        )
        self.x, self.y = self.all("x"), torch.cat([d.y for d in draws])
        unit = torch.tensor([d.unit for d in draws], device=self.x.device)
        self.model: Model = flat(program.of_inputs(unit), self.models)
        """Of inputs in data units."""
        self.raw: Model = flat(program.of_inputs(), self.models)
        """Of inputs in their own numbers."""
        self.seen = RowSpaceView(
            self.model,
            self.models,
            self.x.shape[1:],
            None if self.on_sphere else program.first_layer(unit),
        )
        """Coordinates in which ℓ2 instruments work."""

    def all(self, name: str) -> Tensor:
        """An attribute of the draws, one after another."""
        return torch.cat([getattr(d, name) for d in self.draws])

    def coordinates(self, name: str) -> Tensor:
        """Of inputs that are an attribute of the draws, one after another."""
        return self.seen.coordinates(self.all(name))

    def each(self, values: Tensor) -> Tensor:
        """(M·B, …) as (M, B, …)."""
        return values.unflatten(0, (self.models, -1))

    def units(self) -> Tensor:
        """(M·B, 1, …): every point's data unit, to multiply into x."""
        units = torch.tensor([d.unit for d in self.draws], device=self.x.device)
        return units.repeat_interleave(len(self.x) // self.models).reshape(
            -1, *[1] * (self.x.dim() - 1)
        )
