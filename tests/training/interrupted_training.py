"""Train single models that can be interrupted after an epoch, and compare two of them bit for
bit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.noise import flip_labels, resample_labels
from harness.task import Config, Data, Seeds
from harness.training.checkpoint import TrialCheckpoint
from harness.training.loop import Checkpoint, Fit, StackGroup, train
from harness.training.recipe import recipe_of
from harness.training.stack import Alone
from tasks.models import MadryCNN, mlp
from tests.training.toy_models import seeded

CPU = torch.device("cpu")


class Warming(nn.Module):
    """A model that counts its calls in a buffer, on which its output depends."""

    calls: Tensor

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 1)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
        return self.linear(x) / (1 + 0.1 * self.calls)


class Replacing(Warming):
    """The same model, with a new tensor for the buffer in every call."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls = self.calls + 1
        return self.linear(x) / (1 + 0.1 * self.calls)


def tied() -> nn.Module:
    twins = nn.Linear(6, 6), nn.Linear(6, 6)
    twins[1].weight = twins[0].weight
    return nn.Sequential(*twins, nn.ReLU(), nn.Linear(6, 1))


def half_frozen() -> nn.Module:
    model = mlp(6, 8, 1, 1)
    model[1].requires_grad_(False)
    return model


def transposed() -> nn.Module:
    model = mlp(6, 8, 1, 1)
    model[1].weight = nn.Parameter(torch.randn(6, 8).T)
    return model


MODELS: dict[str, tuple[Callable[[], nn.Module], int, tuple[int, ...]]] = {
    "mlp": (lambda: mlp(6, 16, 2, 1), 1, (6,)),
    "mlp of classes": (lambda: mlp(6, 16, 1, 3), 3, (6,)),
    "cnn": (lambda: MadryCNN(1, 3), 3, (1, 28, 28)),
    "tied": (tied, 1, (6,)),
    "half frozen": (half_frozen, 1, (6,)),
    "transposed": (transposed, 1, (6,)),
    "with a buffer that changes": (Warming, 1, (6,)),
    "with a buffer that is replaced": (Replacing, 1, (6,)),
}
"""Model, outputs, shape of an input."""

EPOCHS = 6


def samples(outputs: int, shape: tuple[int, ...], seed: int = 0) -> Data:
    """Return 18 random samples with noisy labels."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(18, *shape, generator=draw)
    if outputs == 1:
        y, noise = flip_labels(x.flatten(1)[:, 0].sign(), 0.2, draw)
        return Data(x, y, x[:4], y[:4], noise)
    y, noise = resample_labels(torch.arange(18) % outputs, outputs, 0.2, draw)
    return Data(x, y, x[:4], y[:4], noise, classes=outputs)


class CutOff(Exception):
    """Interrupts a training in these tests."""


class Training:
    """The training of one trial from the start, with initial weights, order and data from the
    seeds."""

    def __init__(self, model: str, **fields: Any):
        build, outputs, shape = MODELS[model]
        self.module = seeded(build)
        self.data = samples(outputs, shape)
        self.order = Seeds(0).generator("order")
        self.starts = Seeds(0).generator("adversary")
        defaults = {"n": 18, "batch_size": 4, "stop": "epochs", "max_epochs": EPOCHS}
        self.config = Config.model_validate({**defaults, **fields})

    def go(
        self, start: Checkpoint | None = None, keep: Callable[[Checkpoint], None] = lambda _: None
    ) -> Fit:
        starts = self.starts if self.config.adversary else None
        group = StackGroup(self.data, self.order, 1e-2, starts, recipe_of(self.config))
        (fit,) = train(Alone(self.module), [group], [self.config], start, keep)
        assert isinstance(fit, Fit)
        return fit

    def until(
        self, epoch: int, checkpoint: TrialCheckpoint, start: Checkpoint | None = None
    ) -> None:
        """Train until the checkpoint of `epoch` is saved, and no further."""

        def keep(state: Checkpoint) -> None:
            checkpoint.save(state)
            if state.epoch == epoch:
                raise CutOff

        with pytest.raises(CutOff):
            self.go(start, keep)

    def state(self) -> dict[str, Tensor]:
        return {
            **self.module.state_dict(),
            "order": self.order.get_state(),
            "starts": self.starts.get_state(),
        }


def assert_equal_bits(tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert tensors.keys() == expected.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, expected[name]), name
