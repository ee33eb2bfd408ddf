"""Draw the points and directions that models are measured with: held-out points, points to start
from, random directions. They are the same for every model of a grid.

The points of several models lie one after another in one flat batch, so that a model's points lie
side by side.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.measures.corruption import draw_directions
from harness.measures.margin_descent import WANDER_DIRECTIONS
from harness.measures.row_space import RowSpaceView
from harness.task import Data, Seeds
from harness.training.stack import Model, Program, flat

STARTS = 1024
"""Number of training points among which the nearest one with another label is searched for."""


class Draw:
    """The points and random numbers with which one data set is measured under one seed. Inputs are
    in data units."""

    def __init__(self, data: Data, seeds: Seeds, points: int):
        device = data.x_test.device
        self.unit = data.unit()

        order = torch.randperm(len(data.x_test), generator=seeds.generator("measure"))
        self.rows = order[:points].to(device)
        self.x = data.x_test[self.rows] / self.unit
        self.y = data.y_test[self.rows]

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


class TrainingDraw:
    """Training points of one data set under one seed, with the labels that models are trained on.
    Inputs are in data units."""

    def __init__(self, data: Data, seeds: Seeds, unit: float, points: int):
        device = data.x_train.device
        self.unit = unit

        order = torch.randperm(len(data.x_train), generator=seeds.generator("training_points"))
        rows = order[:points].to(device)
        self.x = data.x_train[rows] / unit
        self.y = data.y_train[rows]

        self.starts = data.x_train[:STARTS] / unit
        self.wander = torch.randn(
            WANDER_DIRECTIONS, *self.x.shape, generator=seeds.generator("wander")
        ).to(self.x)


AnyDraw = TypeVar("AnyDraw", Draw, TrainingDraw)


class Probe(Generic[AnyDraw]):
    """Some models and the draws of their data sets, one for each model. All have the same kind of
    target, the same input space and the same number of points."""

    def __init__(self, program: Program, samples: Sequence[Data], draws: Sequence[AnyDraw]):
        self.draws = list(draws)
        self.models = len(draws)
        self.classes = samples[0].classes
        self.box = samples[0].box
        self.on_sphere = samples[0].manifold == "unit-sphere"
        self.images = samples[0].x_test.dim() == 4 and samples[0].box is not None

        self.x = self.all("x")
        self.y = torch.cat([draw.y for draw in draws])

        unit = torch.tensor([draw.unit for draw in draws], device=self.x.device)
        self.model: Model = flat(program.of_inputs(unit), self.models)
        """The models as functions of inputs in data units."""
        self.raw: Model = flat(program.of_inputs(), self.models)
        """The models as functions of inputs in their own numbers."""
        self.row_space = RowSpaceView(
            self.model,
            self.models,
            self.x.shape[1:],
            None if self.on_sphere else program.first_layer(unit),
        )
        """The models as functions of the coordinates in which ℓ2 instruments work."""

    def all(self, name: str) -> Tensor:
        """Return one attribute of the draws, joined: (M·B, …)."""
        return torch.cat([getattr(draw, name) for draw in self.draws])

    def starts(self) -> Tensor:
        """Return the points to start from, as many for each model: (M, N, *input_shape). Models
        with fewer of them have NaN in place of the others."""
        most = max(len(draw.starts) for draw in self.draws)
        padded = self.draws[0].starts.new_full((self.models, most, *self.x.shape[1:]), torch.nan)
        for m, draw in enumerate(self.draws):
            padded[m, : len(draw.starts)] = draw.starts
        return padded

    def coordinates(self, name: str) -> Tensor:
        """Return the row-space coordinates of one attribute of the draws, which holds inputs."""
        return self.row_space.coordinates(self.all(name))

    def each(self, values: Tensor) -> Tensor:
        """Return (M·B, …) as (M, B, …)."""
        return values.unflatten(0, (self.models, -1))

    def points_of(self, model: int) -> slice:
        """Return the places of one model's points in the flat batch."""
        size = len(self.x) // self.models
        return slice(model * size, (model + 1) * size)

    def units(self) -> Tensor:
        """Return every point's data unit, (M·B, 1, …), to multiply into x."""
        units = torch.tensor([draw.unit for draw in self.draws], device=self.x.device)
        of_points = units.repeat_interleave(len(self.x) // self.models)
        return of_points.reshape(-1, *[1] * (self.x.dim() - 1))
