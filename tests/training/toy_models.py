"""Make small models to train as one program, and train each by the textbook loop to compare."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.errors import TrialFailure
from harness.noise import flip_labels, resample_labels
from harness.task import Config, Data, Seeds
from harness.training.loop import Fit, StackGroup, train
from harness.training.stack import stack
from tasks.models import mlp

D = 6
IMAGE = (1, 28, 28)


def data(
    seed: int, outputs: int, n: int = 50, shape: tuple[int, ...] = (D,), double: bool = False
) -> Data:
    """Return random points whose label is decided by the first coordinate; a fifth of the labels
    is noise."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, *shape, generator=draw)
    x_test = torch.randn(40, *shape, generator=draw)
    if double:
        x = x.double()
        x_test = x_test.double()

    first = x.flatten(1)[:, 0]
    first_test = x_test.flatten(1)[:, 0]
    if outputs == 1:
        y, noise = flip_labels(first.sign(), 0.2, draw)
        return Data(x, y, x_test, first_test.sign(), noise)

    labels = (4 * first).long() % outputs
    test_labels = (4 * first_test).long() % outputs
    y, noise = resample_labels(labels, outputs, 0.2, draw)
    return Data(x, y, x_test, test_labels, noise, classes=outputs)


class Residual(nn.Module):
    """A net that is not a chain of layers, so only torch.func can stack it."""

    def __init__(self, width: int, outputs: int):
        super().__init__()
        self.into = nn.Linear(D, width)
        self.block = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.into(x))
        return self.out(h + F.relu(self.block(h)))


class Maxout(nn.Module):
    """A net whose forward mentions its own width."""

    def __init__(self, width: int, outputs: int):
        super().__init__()
        self.width = width
        self.into = nn.Linear(D, 2 * width)
        self.out = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.into(x).unflatten(1, (self.width, 2)).amax(2))


class Recorder(nn.Module):
    """A linear model that keeps the first number of every input that it is trained on."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.seen: list[float] = []

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen += x[:, 0].tolist()
        return self.linear(x)


Build = Callable[[int, int], nn.Module]
"""A function from size and outputs to a model."""

NETS: dict[str, Build] = {
    "mlp of depth 1": lambda width, outputs: mlp(D, width, 1, outputs),
    "mlp of depth 2": lambda width, outputs: mlp(D, width, 2, outputs),
    "mlp of depth 3": lambda width, outputs: mlp(D, width, 3, outputs),
    "residual": Residual,
}
SIZES = {"one": (8,), "equal": (8, 8), "different": (8, 3, 5)}
GROUPS = {
    "one data set": [(0, 1e-3)],
    "data sets": [(0, 1e-3), (1, 1e-3)],
    "learning rates": [(0, 1e-3), (0, 1e-2)],
    "both": [(0, 1e-3), (1, 1e-3), (2, 1e-2)],
}
"""Seed and learning rate of each group."""


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which also notes a traceback for CUDA at each call.
        torch.default_generator.manual_seed(seed)
        return make()


class ToyModels(NamedTuple):
    """Small models, group after group, with the data that each group is trained on."""

    modules: list[nn.Module]
    samples: list[Data]
    """One set per group."""
    kind: Sequence[tuple[int, float]]
    """Seed and learning rate of each group."""

    @classmethod
    def of(
        cls,
        build: Build,
        sizes: Sequence[int],
        kind: Sequence[tuple[int, float]],
        outputs: int,
        **about: Any,
    ) -> "ToyModels":
        sets = {seed: data(seed, outputs, **about) for seed, _ in kind}
        modules = [
            seeded(lambda size=size: build(size, outputs), i)
            for i, size in enumerate(tuple(sizes) * len(kind))
        ]
        if about.get("double"):
            modules = [m.double() for m in modules]
        return cls(modules, [sets[seed] for seed, _ in kind], kind)

    @property
    def per_group(self) -> int:
        return len(self.modules) // len(self.kind)

    def groups(self) -> list[StackGroup]:
        return [
            StackGroup(d, Seeds(seed).generator("order"), lr)
            for d, (seed, lr) in zip(self.samples, self.kind, strict=True)
        ]

    def group_of(self, model: int) -> StackGroup:
        return self.groups()[model // self.per_group]

    def copies(self) -> list[nn.Module]:
        return copy.deepcopy(self.modules)

    def trained(self, configs: Sequence[Config]) -> list[Fit | TrialFailure]:
        return train(stack(self.modules, self.samples[0].x_train[:4]), self.groups(), configs)


def configs(
    toys: ToyModels, max_epochs: Sequence[int], stop: str = "epochs", batch_size: int = 16
) -> list[Config]:
    n = len(toys.samples[0].x_train)
    return [
        Config.model_validate({"n": n, "batch_size": batch_size, "stop": stop, "max_epochs": k})
        for k in max_epochs
    ]


def train_plainly(module: nn.Module, group: StackGroup, config: Config) -> nn.Module:
    """Train by the textbook loop: torch.optim.Adam over shuffled batches, for config.max_epochs
    epochs."""
    x = group.data.x_train
    y = group.data.y_train
    adam = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], lr=group.lr)
    for _ in range(config.max_epochs):
        for batch in torch.randperm(len(x), generator=group.order).split(config.batch_size):
            adam.zero_grad()
            output = module(x[batch])
            if group.data.classes is None:
                loss = F.mse_loss(output[:, 0], y[batch])
            else:
                loss = F.cross_entropy(output, y[batch])
            loss.backward()
            adam.step()
    return module


def assert_same_weights(module: nn.Module, other: nn.Module, atol: float = 1e-5) -> None:
    expected = other.state_dict()
    assert module.state_dict().keys() == expected.keys()
    for name, weight in module.state_dict().items():
        torch.testing.assert_close(
            weight,
            expected[name],
            rtol=0,
            atol=atol,
            msg=lambda message, name=name: f"{name}: {message}",
        )


def assert_trains_as_alone(toys: ToyModels, configs: Sequence[Config], atol: float = 1e-5) -> None:
    """Train the models as a stack and each by the textbook loop, for config.max_epochs epochs, and
    compare the weights."""
    alone = [
        train_plainly(module, toys.group_of(i), configs[i])
        for i, module in enumerate(toys.copies())
    ]
    for fit, config in zip(toys.trained(configs), configs, strict=True):
        assert isinstance(fit, Fit)
        assert (fit.epochs, fit.stop_reason) == (config.max_epochs, "epoch_cap")
    for module, expected in zip(toys.modules, alone, strict=True):
        assert_same_weights(module, expected, atol)


def over(values: dict[str, Any], name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(name, values.values(), ids=values.keys())


TOY = [
    over({name: net for name, net in NETS.items() if name != "mlp of depth 2"}, "build"),
    over(SIZES, "sizes"),
    over(GROUPS, "kind"),
    pytest.mark.parametrize("outputs", [1, 10]),
]
FEWEST_AND_MOST = over({k: GROUPS[k] for k in ("one data set", "both")}, "kind")

TRAINED = [*TOY[:2], FEWEST_AND_MOST, TOY[3]]
"""TOY without the groups between one data set and all differences at once."""

IMAGES = [over({"equal": (1, 1), "different": (2, 1)}, "sizes"), FEWEST_AND_MOST]


def every(marks: list[pytest.MarkDecorator]) -> Callable[[Any], Any]:
    def decorate(test: Any) -> Any:
        for mark in marks:
            test = mark(test)
        return test

    return decorate
