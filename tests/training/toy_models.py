"""Lots of small models to train as one program, and the textbook loop that each is compared
with."""

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
    """Random points; the first coordinate decides a label, and a fifth of the labels is noise."""
    draw = torch.Generator().manual_seed(seed)
    x, x_test = torch.randn(n, *shape, generator=draw), torch.randn(40, *shape, generator=draw)
    if double:
        x, x_test = x.double(), x_test.double()
    first, first_test = x.flatten(1)[:, 0], x_test.flatten(1)[:, 0]
    if outputs == 1:
        y, noise = flip_labels(first.sign(), 0.2, draw)
        return Data(x, y, x_test, first_test.sign(), noise)
    labels, test_labels = ((4 * v).long() % outputs for v in (first, first_test))
    y, noise = resample_labels(labels, outputs, 0.2, draw)
    return Data(x, y, x_test, test_labels, noise, classes=outputs)


class Residual(nn.Module):
    """A net that is no chain of layers, so that only torch.func can stack it."""

    def __init__(self, width: int, outputs: int):
        super().__init__()
        self.into, self.block, self.out = (
            nn.Linear(D, width),
            nn.Linear(width, width, bias=False),
            nn.Linear(width, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.into(x))
        return self.out(h + F.relu(self.block(h)))


class Maxout(nn.Module):
    """A net whose forward speaks of its own width."""

    def __init__(self, width: int, outputs: int):
        super().__init__()
        self.width, self.into, self.out = width, nn.Linear(D, 2 * width), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.into(x).unflatten(1, (self.width, 2)).amax(2))


Build = Callable[[int, int], nn.Module]
"""Size and outputs to a model."""

NETS: dict[str, Build] = {
    "mlp of depth 1": lambda width, outputs: mlp(D, width, 1, outputs),
    "mlp of depth 2": lambda width, outputs: mlp(D, width, 2, outputs),
    "mlp of depth 3": lambda width, outputs: mlp(D, width, 3, outputs),
    "residual": Residual,
}
SIZES = {"one": (8,), "equal": (8, 8), "different": (8, 3, 5)}
ROWS = {
    "one data set": [(0, 1e-3)],
    "data sets": [(0, 1e-3), (1, 1e-3)],
    "learning rates": [(0, 1e-3), (0, 1e-2)],
    "both": [(0, 1e-3), (1, 1e-3), (2, 1e-2)],
}
"""Seed and learning rate of each row."""


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


class ToyModels(NamedTuple):
    """Models, row after row, with what each is trained on."""

    modules: list[nn.Module]
    samples: list[Data]
    kind: Sequence[tuple[int, float]]

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
    def per_row(self) -> int:
        return len(self.modules) // len(self.kind)

    def rows(self) -> list[StackGroup]:
        return [
            StackGroup(d, Seeds(seed).generator("order"), lr)
            for d, (seed, lr) in zip(self.samples, self.kind, strict=True)
        ]

    def row_of(self, model: int) -> StackGroup:
        return self.rows()[model // self.per_row]

    def copies(self) -> list[nn.Module]:
        return copy.deepcopy(self.modules)

    def trained(self, configs: Sequence[Config]) -> list[Fit | TrialFailure]:
        return train(stack(self.modules, self.samples[0].x_train[:4]), self.rows(), configs)


def configs(
    lot: ToyModels, max_epochs: Sequence[int], stop: str = "epochs", batch_size: int = 16
) -> list[Config]:
    n = len(lot.samples[0].x_train)
    return [
        Config.model_validate({"n": n, "batch_size": batch_size, "stop": stop, "max_epochs": k})
        for k in max_epochs
    ]


def plainly(module: nn.Module, row: StackGroup, config: Config) -> nn.Module:
    """The textbook loop: torch.optim.Adam over shuffled batches, for config.max_epochs epochs."""
    x, y, classes = row.data.x_train, row.data.y_train, row.data.classes
    adam = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], lr=row.lr)
    for _ in range(config.max_epochs):
        for batch in torch.randperm(len(x), generator=row.order).split(config.batch_size):
            adam.zero_grad()
            output = module(x[batch])
            loss = (
                F.mse_loss(output[:, 0], y[batch])
                if classes is None
                else F.cross_entropy(output, y[batch])
            )
            loss.backward()
            adam.step()
    return module


def assert_same_weights(module: nn.Module, other: nn.Module, atol: float = 1e-5) -> None:
    for (name, mine), its in zip(
        module.state_dict().items(), other.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(
            mine, its, rtol=0, atol=atol, msg=lambda said, name=name: f"{name}: {said}"
        )


def assert_trains_as_alone(lot: ToyModels, made: Sequence[Config], atol: float = 1e-5) -> None:
    alone = [plainly(m, lot.row_of(i), made[i]) for i, m in enumerate(lot.copies())]
    for fit, config in zip(lot.trained(made), made, strict=True):
        assert isinstance(fit, Fit) and (fit.epochs, fit.stop_reason) == (
            config.max_epochs,
            "epoch_cap",
        )
    for module, its in zip(lot.modules, alone, strict=True):
        assert_same_weights(module, its, atol)


def over(values: dict[str, Any], name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(name, values.values(), ids=values.keys())


TOY = [
    over(NETS, "build"),
    over(SIZES, "sizes"),
    over(ROWS, "kind"),
    pytest.mark.parametrize("outputs", [1, 10]),
]
IMAGES = [
    over({"equal": (1, 1), "different": (2, 1)}, "sizes"),
    over({k: ROWS[k] for k in ("one data set", "both")}, "kind"),
]


def every(marks: list[pytest.MarkDecorator]) -> Callable[[Any], Any]:
    def decorate(test: Any) -> Any:
        for mark in marks:
            test = mark(test)
        return test

    return decorate
