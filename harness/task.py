"""The Task contract: what somebody writes to add a task. Everything else is done by the engine.

A task declares a typed configuration and three things about it: the shape of one input, the data,
the model. Training, stop rules, measures, parameter counts, cost, resume and the report follow.
`tasks/sphere.py` is a short complete example.
"""

import abc
import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, model_validator
from pydantic import Field as Field
from torch import Tensor, nn

from harness.noise import Noise

StopRule = Literal["noise", "interpolate", "epochs"]
Adversary = Literal["fgsm", "pgd"]
Stream = Literal[
    "data",
    "noise",
    "init",
    "order",
    "dropout",
    "adversary",
    "measure",
    "input_noise",
    "wander",
    "off_data",
    "corruption",
    "tokens",
]


EVALUATION_BATCH = 4096

PGD_STEPS = 40
"""As in Madry et al. 2018 on MNIST: 40 steps of 0.01 in a ball of radius 0.3."""


def Size(default: int, *, description: str, ge: int = 1, le: int | None = None) -> Any:
    """A configuration field that sets the model's size and nothing else.

    Rows that differ only in size fields and seed lie on one curve in p, which is what the report
    fits.
    """
    return Field(default, description=description, ge=ge, le=le, json_schema_extra={"size": True})


def Source(default: str, *, description: str) -> Any:
    """A configuration field that says where data comes from.

    Left out of the trial's identity: the data's content (`Task.fingerprint`) stands in for it, so
    that the same data read from another place is the same trial.
    """
    return Field(default, description=description, json_schema_extra={"source": True})


class Config(BaseModel):
    """Base of every task's configuration: the fields that training needs. Subclasses add their
    own."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    n: int = Field(default=512, ge=2, le=100_000_000, description="training samples")
    stop: StopRule = Field(
        default="noise",
        description=(
            "noise: train until the fit is below the injected noise level by half of it; "
            "interpolate: until every training label is fitted (±1 targets: squared error ≤ 0.01); "
            "epochs: to the cap"
        ),
    )
    max_epochs: int = Field(
        default=500, ge=1, le=1_000_000, description="cap on passes over the training set"
    )
    batch_size: int = Field(
        default=64, ge=1, le=1_000_000, description="samples per optimiser step"
    )
    lr: float = Field(default=3e-3, gt=0, le=10, description="Adam's learning rate")
    adversary: Adversary | None = Field(
        default=None,
        description=(
            "train on inputs moved against the model: fgsm, one step to the ball's edge; pgd, steps"
            " from a random start"
        ),
    )
    adversary_radius: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description="adversary: radius of the ℓ∞ ball, in the inputs' own numbers",
    )
    adversary_steps: int | None = Field(
        default=None, ge=1, le=10_000, description=f"pgd: gradient steps; {PGD_STEPS} if left out"
    )
    adversary_step_size: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description="pgd: length of a step in every number; 4/3·radius/steps if left out",
    )

    @model_validator(mode="after")
    def _adversary_is_whole(self) -> "Config":
        """Refuse what does not belong to the adversary, and write down what was left out of it."""
        about = {
            name: getattr(self, name)
            for name in ("adversary_radius", "adversary_steps", "adversary_step_size")
        }
        given = [name for name, value in about.items() if value is not None]
        if self.adversary is None and given:
            raise ValueError(
                f"'{given[0]}' is {about[given[0]]:g} and there is no adversary; set adversary to"
                " 'fgsm' or 'pgd', or leave it out"
            )
        if self.adversary is not None and self.adversary_radius is None:
            raise ValueError(
                f"adversary '{self.adversary}' needs 'adversary_radius', a number above 0 (0.3 on"
                " MNIST in Madry et al. 2018)"
            )
        if self.adversary == "fgsm" and given[1:]:
            raise ValueError(
                f"'{given[1]}' is {about[given[1]]:g} and belongs to adversary 'pgd'; 'fgsm' takes"
                " one step of the whole radius"
            )
        if self.adversary == "pgd" and self.adversary_radius is not None:
            steps = self.adversary_steps or PGD_STEPS
            # In the configuration itself, so that every row says them and a later default changes
            # no earlier trial.
            object.__setattr__(self, "adversary_steps", steps)
            object.__setattr__(
                self,
                "adversary_step_size",
                self.adversary_step_size or 4 * self.adversary_radius / (3 * steps),
            )
        return self

    @classmethod
    def fields_marked(cls, mark: Literal["size", "source"]) -> frozenset[str]:
        """Names of the fields declared with `Size` or `Source`."""
        extras = {name: f.json_schema_extra for name, f in cls.model_fields.items()}
        return frozenset(
            n for n, extra in extras.items() if isinstance(extra, dict) and extra.get(mark)
        )

    @property
    def samples_per_step(self) -> int:
        """`batch_size`, or all samples where there are fewer."""
        return min(self.batch_size, self.n)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one pass; the last may be short of samples."""
        return -(-self.n // self.samples_per_step)

    @property
    def passed_together(self) -> int:
        """Samples of one forward and backward pass."""
        return self.samples_per_step

    @property
    def evaluated_together(self) -> int:
        """Samples that go through the model at once, at most, when the training set is
        evaluated."""
        return min(EVALUATION_BATCH, self.n)

    @property
    def samples_in_memory(self) -> int:
        """Training samples that a worker holds."""
        return self.n

    @property
    def adversary_passes(self) -> int:
        """Forward and backward passes that the adversary takes before every optimiser step."""
        return self.adversary_steps or (1 if self.adversary else 0)

    def plain(self, without: Iterable[str] = ()) -> dict[str, Any]:
        """The configuration as JSON values, some fields left out.

        A field that is None, as it is by default, does not exist: a new optional one leaves the
        identity of every earlier trial as it was.
        """
        absent = {
            name
            for name, f in type(self).model_fields.items()
            if f.default is None and getattr(self, name) is None
        }
        return self.model_dump(mode="json", exclude=absent | set(without))

    def settings(self) -> dict[str, Any]:
        """The configuration less its size and source fields."""
        return self.plain(without=self.fields_marked("size") | self.fields_marked("source"))


class Text(NamedTuple):
    """What inputs were made of that are windows of tokens: a window of tokens t is the input
    table[t]."""

    tokens: Tensor
    """(m, T) int64: the held-out windows, x_test = table[tokens]."""
    table: Tensor
    """(vocabulary, width) float32: the embedding of every token."""
    byte_tokens: bool = False
    """Whether a token is a byte, so that a slip of the keyboard replaces one."""


@dataclass(frozen=True)
class Data:
    """One trial's samples. Targets are ±1. floats (scalar regression) or int64 classes 0 …
    `classes` − 1."""

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
    """On the unit sphere gradients are also taken along it, and isoperimetry is proved rather
    than assumed."""
    box: tuple[float, float] | None = None
    """The least and the greatest value that an input's number may hold; adversaries and ℓ∞
    attacks stay inside."""

    text: Text | None = None
    """Set where inputs are embedded tokens: what they are is then also changed token by token."""

    def unit(self) -> float:
        """Mean ‖x − mean x‖ over training and held-out inputs: the unit of every distance and
        radius reported.

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
    """Independent random streams for data, noise, init, order, adversary and measuring, all drawn
    from one trial seed.

    A stream depends on the seed and its own name alone, so models of every size see the same data,
    noise and order, and a change in how one is used leaves the others as they were.
    """

    seed: int

    def stream(self, name: Stream) -> int:
        """A 63-bit seed for the named stream."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def generator(self, name: Stream) -> torch.Generator:
        """A CPU generator for the named stream."""
        return torch.Generator().manual_seed(self.stream(name))


class BaseTask(abc.ABC):
    """What the engine asks of every task, whatever its samples are."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raise it when the same configuration would give other results: finished trials then run
    anew."""
    Config: ClassVar[type[Config]]
    input_dtype: ClassVar[torch.dtype] = torch.float32
    stackable: ClassVar[bool] = True
    """Whether trials with models of one shape family may be trained and measured as one program."""
    max_gpus: ClassVar[float] = 1
    """GPUs that one trial can use at the most."""

    @abc.abstractmethod
    def input_shape(self, config: Any) -> tuple[int, ...]:
        """Shape of one input, without the batch dimension."""

    @abc.abstractmethod
    def model(self, config: Any) -> nn.Module:
        """An untrained model of inputs (B, *input_shape).

        The engine seeds torch before the call, and also calls it on the meta device to count
        parameters, so it must build everything here and read no data.
        """

    @abc.abstractmethod
    def fingerprint(self, config: Any) -> str:
        """Identity of the data's content."""

    def family(self, config: Any) -> str:
        """Which curve of the report the trial belongs to."""
        return self.name

    def d_ambient(self, config: Any) -> int:
        """Numbers in one input."""
        return math.prod(self.input_shape(config))

    def tokens_distinct(self, config: Any) -> int | None:
        """Different supervised targets: one per sample, unless a sample holds several. None
        where nobody knows."""
        return config.n

    def samples_distinct(self, config: Any) -> float | None:
        """The n of n·d: inputs of `d_ambient` numbers that hold those targets."""
        return config.n


class Task(BaseTask):
    """A family of trials that fit labelled samples. Subclass it, set `name` and `Config`, and write
    `input_shape`, `data` and `model`.

    `model` maps (B, *input_shape) to (B, 1) for a ±1 target, to (B, K) for K classes. Samples must
    not influence each other (no batch norm).
    """

    @abc.abstractmethod
    def data(self, config: Any, seeds: Seeds) -> Data:
        """The trial's samples, drawn from `seeds.generator("data")` and
        `seeds.generator("noise")`."""

    def fingerprint(self, config: Any) -> str:
        """Data made by the task's own code has its version for that."""
        return f"generated by {self.name} v{self.version}"


def check(data: Data, input_shape: tuple[int, ...], n: int) -> None:
    """What the engine relies on in a task's data; a slip here is the task's bug. Raises
    ValueError saying which."""
    if tuple(data.x_train.shape) != (n, *input_shape) or tuple(data.x_test.shape[1:]) != tuple(
        input_shape
    ):
        raise ValueError(
            f"data() gave inputs {tuple(data.x_train.shape)}; with n = {n} they must be"
            f" {(n, *input_shape)}"
        )
    if (
        data.y_train.shape != (n,)
        or data.y_test.shape != (len(data.x_test),)
        or not len(data.x_test)
    ):
        given = f"{tuple(data.y_train.shape)} and {tuple(data.y_test.shape)}"
        raise ValueError(
            f"data() gave labels of shape {given}; they must be {(n,)} and {(len(data.x_test),)},"
            " at least one held out"
        )
    if not (data.x_train.isfinite().all() and data.x_test.isfinite().all()):
        raise ValueError("data() gave inputs that are not finite")
    low, high = data.box or (-math.inf, math.inf)
    slack = 1e-6 * (high - low) if data.box else 0.0  # float32 rounds the ends of a box, too
    if any(
        float(x.min()) < low - slack or float(x.max()) > high + slack
        for x in (data.x_train, data.x_test)
    ):
        raise ValueError(
            f"data() says that inputs lie between {low:g} and {high:g} and gave some that do not"
        )
    for y in (data.y_train, data.y_test):
        if data.classes is not None:
            if y.dtype != torch.int64 or int(y.min()) < 0 or int(y.max()) >= data.classes:
                raise ValueError(
                    f"data() says {data.classes} classes; labels must be int64 from 0 to"
                    f" {data.classes - 1}"
                )
        elif not y.is_floating_point() or not bool((y.abs() <= 1).all()):
            raise ValueError(
                "data() gave a scalar target that is not a float between −1 and 1; for classes set"
                " `classes`"
            )
        elif data.noise.kind in ("none", "label_flip") and not bool((y.abs() == 1).all()):
            raise ValueError("data() gave labels other than −1 and +1")
    if data.manifold == "unit-sphere" and not torch.allclose(
        data.x_train.flatten(1).norm(dim=1), torch.ones(n), atol=1e-4
    ):
        raise ValueError("data() says unit-sphere and gave points that do not have length 1")
