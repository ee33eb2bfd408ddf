"""Grids of trials for a plan, and the plan of some of them."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from harness.planning.batches import make_batches
from harness.planning.costs import Calibration
from harness.planning.model_shape import Shape, shape_of
from harness.planning.times import Planned
from harness.sweeps.registry import TaskRef, load
from harness.sweeps.trial import Trial, canonical_json
from tests.planning.machines import LIKE_A_LAPTOP

TOYS = '''
"""Tasks whose models do what a plan must cope with."""

import torch
from torch import nn

from harness.noise import flip_labels
from harness.task import Config, Data, Field, Seeds, Size, Task

MADE = []


class ToyConfig(Config):
    kind: str = Field(default="plain", description="what the model is like")
    scale: float = Field(default=1.0, description="of the inputs")
    start: float = Field(default=1.0, description="scale of the first weights")
    width: int = Size(4, description="units")
    other: int = Size(4, description="units of the second layer")
    parts: int = Size(1, description="weights in a list")


class Listed(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.weights = nn.ParameterList([torch.zeros(4) for _ in range(config.parts)])

    def forward(self, x):
        return sum((x @ w for w in self.weights), torch.zeros(()))[:, None]


class Toy(Task):
    name = "toy"
    Config = ToyConfig

    def input_shape(self, config):
        return (4,)

    def data(self, config, seeds):
        MADE.append(seeds.seed)
        x = config.scale * torch.randn(config.n + 8, 4, generator=seeds.generator("data"))
        y, noise = flip_labels(x[:, 0].sign(), 0.2, seeds.generator("noise"))
        return Data(x[8:], y[8:], x[:8], x[:8, 0].sign(), noise)

    def model(self, config):
        if config.kind == "broken":
            raise RuntimeError("no such model")
        if config.kind == "exits":
            raise SystemExit("enough")
        if config.kind == "listed":
            return Listed(config)
        first = [nn.Linear(4, config.width), nn.ReLU()]
        second = [nn.Linear(config.width, config.other), nn.ReLU()]
        return nn.Sequential(*first, *second, nn.Linear(config.other, 1))
'''


TOY = TaskRef("toy", "toys.py", TOYS)


SPHERE = TaskRef("sphere")
MNIST = TaskRef("mnist")


def trials(ref: TaskRef, seeds: Sequence[int] = (0,), **fields: Any) -> list[Trial]:
    """A grid: every field that is a list takes each of its values."""
    grid = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
    cells = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    configs = [load(ref).Config.model_validate(cell).plain() for cell in cells]
    return [
        Trial(f"{ref.name} {seed} {canonical_json(config)}", ref, config, seed)
        for config in configs
        for seed in seeds
    ]


def mnist(**fields: Any) -> list[Trial]:
    """A grid of MNIST trials with a fifth of the labels flipped."""
    return trials(MNIST, **{"label_flip": 0.2, **fields})


def text(**fixed: Any) -> Trial:
    """A GPT's trial."""
    config = load(TaskRef("text")).Config.model_validate({"target_resample": 0.2, **fixed})
    return Trial("0" * 16, TaskRef("text"), config.plain(), 0)  # no corpus is read to plan


def planned(
    grid: Sequence[Trial], machine: Calibration = LIKE_A_LAPTOP, points: int = 256, **limits: float
) -> list[Planned]:
    return make_batches(grid, machine, points, **{"seconds_per_trial": 600.0, **limits})


def stacks(plan: Sequence[Planned]) -> list[tuple[Trial, ...]]:
    return [stack for p in plan for stack in p.batch.stacks]


def seconds_alone(trial: Trial, machine: Calibration, points: int = 256) -> float:
    (plan,) = planned([trial], machine, points)
    return plan.seconds


def shape(trial: Trial) -> Shape:
    return shape_of(trial.ref, trial.load_config())


ADVERSARIES = [
    {},
    {"adversary": "fgsm", "adversary_radius": 0.1},
    {"adversary": "fgsm", "adversary_radius": 0.2},
    {"adversary": "pgd", "adversary_radius": 0.1, "adversary_steps": 5},
    {"adversary": "pgd", "adversary_radius": 0.1, "adversary_steps": 6},
]

WIDTHS = [4, 16, 64, 256, 1024]

SWEEPS: dict[str, Callable[[], list[Trial]]] = {
    "one trial": lambda: trials(SPHERE),
    "widths": lambda: trials(SPHERE, width=WIDTHS, seeds=range(3)),
    "widths and depths": lambda: trials(SPHERE, width=WIDTHS, depth=[1, 2, 3], seeds=range(2)),
    "n and d": lambda: trials(SPHERE, n=[64, 256], d=[4, 16], width=WIDTHS, seeds=range(2)),
    "learning rates": lambda: trials(SPHERE, lr=[1e-3, 1e-2], width=WIDTHS, seeds=range(2)),
    "stop rules": lambda: trials(
        SPHERE, stop=["noise", "interpolate", "epochs"], max_epochs=[5, 50], width=[8, 32]
    ),
    "mlps and cnns": (
        lambda: (
            mnist(width=WIDTHS, seeds=range(2))
            + mnist(model="cnn", capacity=[1, 2, 4], seeds=range(2))
        )
    ),
    "heads": (
        lambda: (
            mnist(width=[8, 64]) + trials(MNIST, head="digits", label_resample=0.2, width=[8, 64])
        )
    ),
    "two sizes": lambda: trials(TOY, width=[4, 8, 64], other=[4, 8, 64], seeds=range(2)),
    "many small ones": lambda: trials(SPHERE, n=32, width=[4, 5, 6, 7, 8], seeds=range(40)),
    "with broken ones": lambda: trials(
        TOY, kind=["plain", "broken", "exits"], width=[4, 8], seeds=range(2)
    ),
    "lists of weights": lambda: trials(TOY, kind="listed", parts=[1, 2, 3], seeds=range(2)),
    "everything": (
        lambda: (
            SWEEPS["widths and depths"]() + SWEEPS["mlps and cnns"]() + SWEEPS["with broken ones"]()
        )
    ),
}


def over(values: dict[str, Any], name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(name, values.values(), ids=values.keys())


def row_of(trial: Trial) -> tuple[Any, ...]:
    """What the trials of a row share: the samples, their order, the learning rate."""
    free = {"width", "capacity", "other", "parts", "stop", "max_epochs"}
    return trial.seed, canonical_json({k: v for k, v in trial.config.items() if k not in free})
