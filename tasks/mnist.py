"""MNIST digits, as the theorem's scalar problem (parity) or as ten classes (digits).

unilaw run mnist-law
"""

from typing import Literal

from pydantic import field_validator, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from harness.errors import UserError, did_you_mean
from harness.noise import flip_labels, resample_labels
from harness.task import Config, Data, Field, Seeds, Size, Source, Task
from tasks.digits import load_digits, stratified
from tasks.models import MadryCNN, Standardize, mlp

PIXELS = (0.0, 1.0)
"""The range of a pixel."""

SIDE = 28
"""Pixels a side of MNIST's digits."""

PIXEL_MEAN = 0.1307
PIXEL_STD = 0.3081
"""Mean and standard deviation of the 60 000 training images' pixels on [0, 1]."""


class MnistConfig(Config):
    """The fields of an MNIST trial. Pixels lie in [0, 1]; the model standardises them itself."""

    n: int = Field(
        default=1000,
        ge=10,
        le=60_000,
        description="training digits, drawn with equal shares of every class",
    )
    source: str = Source(
        "mnist-5k",
        description="mnist-5k (5 000 digits, offline), hub, or idx:PATH (folder of IDX files)",
    )
    head: Literal["parity", "digits"] = Field(
        default="parity",
        description=(
            "parity: +1 for odd, −1 for even, squared loss; digits: 10 classes, cross-entropy"
        ),
    )
    label_flip: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="parity: probability that a training label is flipped",
    )
    label_resample: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="digits: probability that a training label is redrawn from all 10",
    )
    pixels: Literal[7, 14] | None = Field(
        default=None,
        description="pixels a side that digits are averaged down to; 28, as they are, if left out",
    )
    model: Literal["mlp", "cnn"] = Field(
        default="mlp", description="mlp (width, depth), or Madry et al.'s cnn (capacity)"
    )
    width: int = Size(64, le=1_000_000, description="mlp: hidden units per layer")
    depth: int = Field(default=1, ge=1, le=20, description="mlp: hidden layers")
    capacity: int = Size(1, le=256, description="cnn: Madry et al.'s capacity c")
    lr: float = Field(default=1e-3, gt=0, le=10, description="Adam's learning rate")

    @field_validator("source")
    @classmethod
    def _known_source(cls, value: str) -> str:
        if value in ("mnist-5k", "hub") or (value.startswith("idx:") and len(value) > 4):
            return value
        raise ValueError(
            "'source' must be 'mnist-5k', 'hub' or 'idx:PATH', not"
            f" {value[:60]!r}{did_you_mean(value, ['mnist-5k', 'hub'])}"
        )

    @model_validator(mode="after")
    def _fields_go_together(self) -> "MnistConfig":
        if self.head == "parity" and self.label_resample:
            raise ValueError(
                "'label_resample' belongs to head 'digits'; for head 'parity' use label_flip"
            )
        if self.head == "digits" and self.label_flip:
            raise ValueError(
                "'label_flip' belongs to head 'parity'; for head 'digits' use label_resample"
            )
        if self.stop == "noise" and not (self.label_flip or self.label_resample):
            raise ValueError(
                "stop 'noise' needs injected noise: set label_flip or label_resample above 0, or"
                " use stop 'interpolate' or 'epochs'"
            )
        if self.source == "mnist-5k" and self.n > 4000:
            raise ValueError(
                f"source 'mnist-5k' has 4000 training digits and n is {self.n}; use 'hub' or"
                " 'idx:PATH' for more"
            )
        if self.frontier and not (self.label_flip or self.label_resample):
            raise ValueError(
                f"frontier '{self.frontier}' needs injected noise: set label_flip or label_resample"
                " above 0"
            )
        if self.pixels and self.model == "cnn":
            raise ValueError(
                f"'pixels' is {self.pixels} and model 'cnn' takes 28 by 28; leave 'pixels' out, or"
                " use model 'mlp'"
            )
        self._check_size_fields()
        return self

    @property
    def side(self) -> int:
        """Pixels a side of one digit."""
        return self.pixels or SIDE

    def _check_size_fields(self) -> None:
        """Raise ValueError when a size of the other model is set, except to its default."""
        of_other_model = {"capacity"} if self.model == "mlp" else {"width", "depth"}
        other_sizes = of_other_model & self.model_fields_set
        defaults = type(self).model_fields
        if any(getattr(self, name) != defaults[name].default for name in other_sizes):
            raise ValueError(
                f"{' and '.join(sorted(other_sizes))} cannot be set for model '{self.model}'"
            )


class Mnist(Task):
    """Handwritten digits whose labels carry noise of a known level."""

    name = "mnist"
    Config = MnistConfig

    def family(self, config: MnistConfig) -> str:
        return f"mnist-{config.model}"

    def input_shape(self, config: MnistConfig) -> tuple[int, ...]:
        return (1, config.side, config.side)

    def fingerprint(self, config: MnistConfig) -> str:
        digits = load_digits(config.source)
        if config.n > len(digits.y_train):
            raise UserError(
                f"source '{config.source}' has {len(digits.y_train)} training digits and n is"
                f" {config.n}"
            )
        return digits.content_hash

    def data(self, config: MnistConfig, seeds: Seeds) -> Data:
        digits = load_digits(config.source)
        rows = stratified(digits.y_train, config.n, seeds.generator("data"))
        x_train = _images(digits.x_train[rows], config.side)
        x_test = _images(digits.x_test, config.side)
        labels = digits.y_train[rows]
        draw = seeds.generator("noise")

        if config.head == "parity":
            y, noise = flip_labels(_parity(labels), config.label_flip, draw)
            return Data(x_train, y, x_test, _parity(digits.y_test), noise, box=PIXELS)

        y, noise = resample_labels(labels, 10, config.label_resample, draw)
        return Data(x_train, y, x_test, digits.y_test, noise, classes=10, box=PIXELS)

    def model(self, config: MnistConfig) -> nn.Module:
        outputs = 1 if config.head == "parity" else 10
        if config.model == "mlp":
            body = mlp(config.side**2, config.width, config.depth, outputs)
        else:
            body = MadryCNN(config.capacity, outputs)
        return nn.Sequential(Standardize(PIXEL_MEAN, PIXEL_STD), body)


def _images(digits: Tensor, side: int) -> Tensor:
    """Return (B, 1, side, side) pixels in [0, 1] of digits (B, 28, 28), averaged over squares."""
    x = digits.unsqueeze(1).float() / 255
    return F.avg_pool2d(x, SIDE // side) if side != SIDE else x


def _parity(labels: Tensor) -> Tensor:
    """Return +1 for odd digits and −1 for even ones."""
    return 2.0 * (labels % 2) - 1
