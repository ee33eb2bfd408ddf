"""The Task contract: what somebody writes to add a task. Everything else is done by the engine.

A task declares a typed configuration and three things about it: the shape of one input, the data, the model.
Training, stop rules, measures, parameter counts, cost, resume and the report follow. `tasks/sphere.py` is a
short complete example.
"""

import abc
import hashlib
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Field
from torch import Tensor, nn

from harness.noise import Noise

StopRule = Literal["noise", "interpolate", "epochs"]
Stream = Literal["data", "noise", "init", "order", "dropout", "measure", "input_noise", "wander"]


def Size(default: int, *, description: str, ge: int = 1, le: int | None = None) -> Any:
    """A configuration field that sets the model's size and nothing else.

    Rows that differ only in size fields and seed lie on one curve in p, which is what the report fits.
    """
    return Field(default, description=description, ge=ge, le=le, json_schema_extra={"size": True})


def Source(default: str, *, description: str) -> Any:
    """A configuration field that says where data comes from.

    Left out of the trial's identity: the data's content (`Task.fingerprint`) stands in for it, so that the
    same data read from another place is the same trial.
    """
    return Field(default, description=description, json_schema_extra={"source": True})


class Config(BaseModel):
    """Base of every task's configuration: the fields that training needs. Subclasses add their own."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    n: int = Field(default=512, ge=2, le=100_000_000, description="training samples")
    stop: StopRule = Field(
        default="noise",
        description="noise: train until the fit is below the injected noise level by half of it; "
        "interpolate: until every training label is fitted (±1 targets: squared error ≤ 0.01); "
        "epochs: to the cap",
    )
    max_epochs: int = Field(default=500, ge=1, le=1_000_000, description="cap on passes over the training set")
    batch_size: int = Field(default=64, ge=1, le=1_000_000, description="samples per optimiser step")
    lr: float = Field(default=3e-3, gt=0, le=10, description="Adam's learning rate")

    @classmethod
    def fields_marked(cls, mark: Literal["size", "source"]) -> frozenset[str]:
        """Names of the fields declared with `Size` or `Source`."""
        extras = {name: f.json_schema_extra for name, f in cls.model_fields.items()}
        return frozenset(n for n, extra in extras.items() if isinstance(extra, dict) and extra.get(mark))

    @property
    def samples_per_step(self) -> int:
        """`batch_size`, or all samples where there are fewer."""
        return min(self.batch_size, self.n)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one pass; the last may be short of samples."""
        return -(-self.n // self.samples_per_step)

    def settings(self) -> dict[str, Any]:
        """The configuration less its size and source fields."""
        return self.model_dump(mode="json", exclude=set(self.fields_marked("size") | self.fields_marked("source")))


@dataclass(frozen=True)
class Data:
    """One trial's samples. Targets are ±1. floats (scalar regression) or int64 classes 0 … `classes` − 1."""

    x_train: Tensor
    """(n, *input_shape), float32."""
    y_train: Tensor
    """(n,), with the injected noise."""
    x_test: Tensor
    """(m, *input_shape), float32."""
    y_test: Tensor
    """(m,), without injected noise where a clean label exists."""
    noise: Noise
    classes: int | None = None
    """None for a ±1 target under squared loss."""
    manifold: Literal["euclidean", "unit-sphere"] = "euclidean"
    """On the unit sphere gradients are also taken along it, and isoperimetry is proved rather than assumed."""

    def unit(self) -> float:
        """Mean ‖x − mean x‖ over training and held-out inputs: the unit of every distance and radius reported.

        Both, because the unit belongs to the data set and must not move with n.
        """
        x = torch.cat([self.x_train, self.x_test]).flatten(1)
        return float((x - x.mean(0)).norm(dim=1).mean())

    def content_hash(self) -> str:
        """SHA-256 over the four tensors' bytes."""
        digest = hashlib.sha256()
        for tensor in (self.x_train, self.y_train, self.x_test, self.y_test):
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Seeds:
    """Independent random streams for data, noise, init, order and measuring, all drawn from one trial seed.

    A stream depends on the seed and its own name alone, so models of every size see the same data, noise and
    order, and a change in how one is used leaves the others as they were.
    """

    seed: int

    def stream(self, name: Stream) -> int:
        """A 63-bit seed for the named stream."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def generator(self, name: Stream) -> torch.Generator:
        """A CPU generator for the named stream."""
        return torch.Generator().manual_seed(self.stream(name))


class Task(abc.ABC):
    """A family of trials. Subclass it, set `name` and `Config`, and write the three methods below."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raise it when the same configuration would give other results: finished trials then run anew."""
    Config: ClassVar[type[Config]]

    @abc.abstractmethod
    def input_shape(self, config: Any) -> tuple[int, ...]:
        """Shape of one input, without the batch dimension."""

    @abc.abstractmethod
    def data(self, config: Any, seeds: Seeds) -> Data:
        """The trial's samples, drawn from `seeds.generator("data")` and `seeds.generator("noise")`."""

    @abc.abstractmethod
    def model(self, config: Any) -> nn.Module:
        """An untrained model mapping (B, *input_shape) to (B, 1) for a ±1 target, to (B, K) for K classes.

        The engine seeds torch before the call, and also calls it on the meta device to count parameters, so
        it must build everything here and read no data. Samples must not influence each other (no batch norm).
        """

    def family(self, config: Any) -> str:
        """Which curve of the report the trial belongs to."""
        return self.name

    def fingerprint(self, config: Any) -> str:
        """Identity of the data's content. Data made by the task's own code has its version for that."""
        return f"generated by {self.name} v{self.version}"

    def d_ambient(self, config: Any) -> int:
        """Numbers in one input."""
        return math.prod(self.input_shape(config))
