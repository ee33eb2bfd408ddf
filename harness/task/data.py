"""A trial's samples, and what the engine relies on in them."""

import hashlib
import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from harness.noise import Noise


class Text(NamedTuple):
    """The tokens that inputs were made of: a window of tokens t is the input table[t]."""

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
    """The least and the greatest value of a number in an input. Adversaries and ℓ∞ attacks stay
    inside."""
    text: Text | None = None
    """Set where inputs are embedded tokens: the measures then also change inputs token by token."""
    y_positions: Tensor | None = None
    """(n, T) int64, where a sample has T training targets, of which y_train is the last. The model
    then has `for_training()`, a module that maps (B, *input_shape) to (B, T, K). Instruments use
    the model itself, and so its last target alone."""
    learned_inputs: bool = False
    """Whether the model learned the inputs, as its own embeddings: they move with the labels and
    with its size, so the law says nothing about them."""

    @property
    def trained_on(self) -> Tensor:
        """Return the targets of training: (n,), or (n, T) where a sample has several."""
        return self.y_train if self.y_positions is None else self.y_positions

    @property
    def isoperimetry(self) -> Literal["proved", "assumed", "outside"]:
        """Return what is known of the law's assumption on the inputs, as the rows' column says
        it."""
        if self.learned_inputs:
            return "outside"
        return "proved" if self.manifold == "unit-sphere" else "assumed"

    def unit(self) -> float:
        """Return the mean of ‖x − mean x‖ over training and held-out inputs: the unit of every
        distance and radius reported.

        Both sets count, because the unit belongs to the data set and must not move with n.
        """
        x = torch.cat([self.x_train, self.x_test]).flatten(1)
        return float((x - x.mean(0)).norm(dim=1).mean())

    def content_hash(self) -> str:
        """Return the SHA-256 over the tensors' bytes."""
        digest = hashlib.sha256()
        tensors = [self.x_train, self.y_train, self.x_test, self.y_test]
        if self.y_positions is not None:
            tensors.append(self.y_positions)
        for tensor in tensors:
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


MANIFOLDS = ("euclidean", "unit-sphere")


def check_dimensions(input_shape: tuple[int, ...], d_ambient: int) -> None:
    """Raise ValueError where a task declares a size that is no positive whole number."""
    sizes = [("input_shape()", size) for size in input_shape]
    for declared_by, size in [*sizes, ("d_ambient()", d_ambient)]:
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{declared_by} gave {size!r}; it must be a whole number from 1 on")


def check(data: Data, input_shape: tuple[int, ...], n: int) -> None:
    """Raise ValueError where a task's data break what the engine relies on; the message says what
    is wrong. Such a slip is the task's bug."""
    _check_declared(data)
    _check_shapes(data, input_shape, n)
    _check_inputs(data)
    for y in (data.trained_on, data.y_train, data.y_test):
        _check_labels(y, data)

    if data.manifold == "unit-sphere":
        lengths = data.x_train.flatten(1).norm(dim=1)
        if not torch.allclose(lengths, torch.ones(n), atol=1e-4):
            raise ValueError("data() says unit-sphere and gave points that do not have length 1")


def _check_declared(data: Data) -> None:
    """Raise ValueError for noise and classes that are no numbers, and for an unknown manifold."""
    noise = data.noise
    for name in ("eta", "bayes_error", "sigma2"):
        level = getattr(noise, name)
        may_be_none = name != "bayes_error"
        if level is None and may_be_none:
            continue
        if not isinstance(level, Real) or not math.isfinite(level):
            raise ValueError(f"data() gave noise with {name} = {level!r}; it must be a number")

    if data.manifold not in MANIFOLDS:
        raise ValueError(
            f"data() says that inputs lie on {data.manifold!r}; it must be one of"
            f" {', '.join(MANIFOLDS)}"
        )
    if data.classes is not None and (not isinstance(data.classes, Integral) or data.classes < 1):
        raise ValueError(
            f"data() says {data.classes!r} classes; it must be a whole number from 1 on"
        )


def _check_shapes(data: Data, input_shape: tuple[int, ...], n: int) -> None:
    x_train = tuple(data.x_train.shape)
    x_test = tuple(data.x_test.shape)
    if x_train != (n, *input_shape) or x_test[1:] != tuple(input_shape):
        raise ValueError(
            f"data() gave inputs {x_train}; with n = {n} they must be {(n, *input_shape)}"
        )

    y_train = tuple(data.y_train.shape)
    y_test = tuple(data.y_test.shape)
    held_out = len(data.x_test)
    if y_train != (n,) or y_test != (held_out,) or not held_out:
        raise ValueError(
            f"data() gave labels of shape {y_train} and {y_test}; they must be {(n,)} and"
            f" {(held_out,)}, at least one held out"
        )

    several = data.y_positions
    if several is None:
        return
    if several.dim() != 2 or not torch.equal(several[:, -1], data.y_train) or not data.classes:
        raise ValueError(
            f"data() gave y_positions {tuple(several.shape)}; it must be ({n}, T) classes, of which"
            " y_train is the last column"
        )


def _check_inputs(data: Data) -> None:
    if not (data.x_train.isfinite().all() and data.x_test.isfinite().all()):
        raise ValueError("data() gave inputs that are not finite")

    if data.box is None:
        return
    low, high = data.box
    slack = 1e-6 * (high - low)  # float32 rounds the ends of a box, too
    for x in (data.x_train, data.x_test):
        if float(x.min()) < low - slack or float(x.max()) > high + slack:
            raise ValueError(
                f"data() says that inputs lie between {low:g} and {high:g} and gave some that do"
                " not"
            )


def _check_labels(y: Tensor, data: Data) -> None:
    if data.classes is not None:
        must_be = (
            f"data() says {data.classes} classes; labels must be int64 from 0 to {data.classes - 1}"
        )
        if y.dtype != torch.int64:
            raise ValueError(f"{must_be}, and are {str(y.dtype).removeprefix('torch.')}")
        low, high = int(y.min()), int(y.max())
        if low < 0 or high >= data.classes:
            raise ValueError(f"{must_be}, and go from {low} to {high}")
        return

    if not y.is_floating_point() or not bool((y.abs() <= 1).all()):
        raise ValueError(
            "data() gave a scalar target that is not a float between −1 and 1; for classes set"
            " `classes`"
        )

    labels_stay_signs = data.noise.kind in ("none", "label_flip")
    if labels_stay_signs and not bool((y.abs() == 1).all()):
        other = float(y[y.abs() != 1][0])
        raise ValueError(f"data() gave labels other than −1 and +1, such as {other:g}")
