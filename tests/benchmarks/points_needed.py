"""How many points S and the training radius need: the standard error over points beside the spread
over seeds.

    .venv/bin/python -m tests.benchmarks.points_needed [sphere mnist text]

Cells of sphere-law, mnist-law and gpt-law that are trained on to the last noisy label, several
seeds each. The rule: as many points as bring the standard error of a row's logarithm down to the
spread of that logarithm over seeds within a cell. More points would sharpen a row, but hardly the
mean of its cell.

For each family: the pooled spread over seeds (the observed variance less that of the points), the
standard error at 256 points, and the points needed. Of n points to draw from, m have a variance
proportional to 1/m − 1/n.
"""

import json
import math
import sys
from typing import Any, NamedTuple

import torch
from torch import nn

from harness.measures.at_points import search_at_points
from harness.measures.boundary import stability
from harness.measures.points import Draw, Probe, TrainingDraw
from harness.measures.stability_columns import STABILITY_CAP
from harness.measures.training_radius import training_radius
from harness.sweeps.registry import TaskRef, load_samples
from harness.task import Data, Seeds
from harness.training.evaluation import wrong
from harness.training.loop import StackGroup, train
from harness.training.stack import Alone

AT = 256
"""Points at which standard errors are printed."""


class Cells(NamedTuple):
    """Cells of one family that differ in width, their seeds, and the points measured."""

    task: str
    fixed: dict[str, Any]
    widths: tuple[int, ...]
    seeds: int
    points: int


FAMILIES = {
    "sphere": [
        Cells(
            "sphere", {"n": 512, "d": d, "max_epochs": 3000, "batch_size": 128}, (64, 512), 6, 512
        )
        for d in (8, 64)
    ],
    "mnist": [
        Cells(
            "mnist",
            {"n": 1000, "head": "parity", "label_flip": 0.2, "max_epochs": 300},
            (32, 256),
            6,
            512,
        )
    ],
    "text": [Cells("text", {"n": 400, "target_resample": 0.3, "max_epochs": 400}, (32,), 4, 128)],
}


class Figure(NamedTuple):
    """A figure of one model measured on `points` of the `of` that there are."""

    value: float
    se_of_one: float
    """The standard error of one point, from infinitely many: that of m out of n is
    √(1/m − 1/n) times this."""
    points: int
    of: float

    def log_variance(self, points: int) -> float:
        """Return the variance over the draw of points of the figure's logarithm."""
        return (self.se_of_one / self.value) ** 2 * (1 / points - 1 / self.of)


def trained(cells: Cells, seed: int) -> tuple[Data, list[nn.Module]]:
    """Return one seed's data and its trained nets, one for each width."""
    task = load_samples(TaskRef(cells.task))
    configs = [
        task.Config.model_validate({**cells.fixed, "stop": "interpolate", "width": width})
        for width in cells.widths
    ]
    seeds = Seeds(seed)
    data = task.data(configs[0], seeds)
    nets = []
    for config in configs:
        torch.manual_seed(seeds.stream("init"))
        nets.append(task.model(config))
    for net, config in zip(nets, configs, strict=True):
        group = StackGroup(data, seeds.generator("order"), config.lr)
        train(Alone(net), [group], [config])
    return data, [net.eval() for net in nets]


def radius(net: nn.Module, data: Data, seed: int, points: int) -> Figure:
    """Return the training radius of a net."""
    draw = TrainingDraw(data, Seeds(seed), data.unit(), points)
    probe = Probe(Alone(net), [data], [draw])
    with torch.no_grad():
        is_wrong = wrong(probe.model(probe.x), probe.y, probe.classes)
    distance = search_at_points(probe).distance.masked_fill(is_wrong, 0.0)
    n = len(data.x_train)

    infinitely_many = 10**12
    found = training_radius(distance, data.noise.bayes_error, infinitely_many, STABILITY_CAP)
    return Figure(found.radius, found.se * math.sqrt(len(distance)), len(distance), n)


def held_out(net: nn.Module, data: Data, seed: int, points: int) -> Figure:
    """Return the stability of a net, S."""
    probe = Probe(Alone(net), [data], [Draw(data, Seeds(seed), points)])
    distance = search_at_points(probe).distance
    found = stability(distance, STABILITY_CAP, leave_out=False)
    return Figure(found.mean, found.se * math.sqrt(len(distance)), len(distance), math.inf)


def needed(by_cell: list[list[Figure]]) -> dict[str, float]:
    """Return one figure's spread over seeds, pooled over cells, and the points that follow."""
    spreads = []
    of_one = []
    for cell in by_cell:
        logs = torch.tensor([figure.value for figure in cell]).log()
        over_points = sum(figure.log_variance(figure.points) for figure in cell) / len(cell)
        spreads.append(float(logs.var()) - over_points)
        of_one += [(figure.se_of_one / figure.value) ** 2 for figure in cell]

    spread2 = max(0.0, sum(spreads) / len(spreads))
    one2 = sum(of_one) / len(of_one)
    of = by_cell[0][0].of
    precision = spread2 / one2 + 1 / of
    return {
        "mean": sum(f.value for cell in by_cell for f in cell) / len(of_one),
        "spread over seeds": math.sqrt(spread2),
        f"se of {AT} points": math.sqrt(one2 * max(0.0, 1 / AT - 1 / of)),
        "points needed": math.inf if not precision else math.ceil(1 / precision),
    }


def main(families: list[str]) -> None:
    torch.set_num_threads(1)
    results = {}
    for family in families:
        radii: list[list[Figure]] = []
        stabilities: list[list[Figure]] = []
        for cells in FAMILIES[family]:
            by_seed = [trained(cells, seed) for seed in range(cells.seeds)]
            for k in range(len(cells.widths)):
                of_cell = [(nets[k], data, seed) for seed, (data, nets) in enumerate(by_seed)]
                radii.append([radius(*one, cells.points) for one in of_cell])
                stabilities.append([held_out(*one, cells.points) for one in of_cell])

        for name, by_cell in (("training radius", radii), ("S", stabilities)):
            results[f"{family}, {name}"] = needed(by_cell)
            shown = ", ".join(f"{k} {v:.4g}" for k, v in needed(by_cell).items())
            print(f"{family}, {name}: {len(by_cell)} cells: {shown}", flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1:] or list(FAMILIES))
