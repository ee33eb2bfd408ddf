"""Instruments: each one file, each a function beside its source; `measure` puts them together into columns."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.measures.boundary import WANDER_DIRECTIONS, attack, first_order, stability
from harness.measures.gradients import gradient_norms
from harness.measures.input_noise import RADII, noise_response
from harness.task import Data, Seeds
from harness.training.loop import evaluate
from harness.training.stack import Program

MEASURE_POINTS = 256
STABILITY_CAP = 1.0
"""In data units. Two random points of the data lie about √2 apart, so a change of one unit is another input."""

TOGETHER_BYTES = 1_000_000
"""Models are measured together while their points take no more than this: beyond, the processor's cache is the limit."""

Columns = dict[str, Any]


def measure(program: Program, samples: Sequence[Data], seeds: Sequence[Seeds], points: int = MEASURE_POINTS) -> list[Columns]:
    """Every measured column of each trained model of a program, in evaluation mode and float32 or better.

    `samples` and `seeds` have one entry per model. Sensitivity is measured on `points` held-out points, right or
    wrong, drawn from the trial's own `measure` stream; with 0 points its columns are left out.
    """
    program.train(False)
    columns: list[Columns] = [{} for _ in samples]
    for models in _rows(samples):
        rows = list({id(samples[m]): samples[m] for m in models}.values())
        part = program if len(models) == len(samples) else program.take(models)
        for m, held_out in zip(models, evaluate(part, rows, held_out=True), strict=True):
            columns[m] = _accuracy(held_out.loss, 1 - held_out.error, len(samples[m].x_test))
    for models in _together(samples, points) if points else ():
        part = program if len(models) == len(samples) else program.take(models)
        part.train(False)
        found = _sensitivity(part, [samples[m] for m in models], [seeds[m] for m in models], points)
        for m, sensitivity in zip(models, found, strict=True):
            columns[m] |= sensitivity
    return columns


def _rows(samples: Sequence[Data]) -> list[list[int]]:
    """The models in rows that share a data set: all of them at once where the rows are equally long, else each row."""
    by_data: dict[int, list[int]] = {}
    for m, data in enumerate(samples):
        by_data.setdefault(id(data), []).append(m)
    rows = list(by_data.values())
    alike = {(len(row), samples[row[0]].x_test.shape) for row in rows}
    whole = [m for row in rows for m in row]
    return [whole] if len(alike) == 1 and whole == list(range(len(samples))) else rows


def _together(samples: Sequence[Data], points: int) -> Iterator[list[int]]:
    """Neighbouring models with the same kind of target, space and number of points, at most TOGETHER_BYTES of points at a time."""
    kinds = [(min(points, len(data.x_test)), data.classes, data.manifold) for data in samples]
    begin = 0
    for end in range(1, len(samples) + 1):
        size = 4 * kinds[begin][0] * samples[begin].x_test[0].numel() * (end - begin + 1)
        if end == len(samples) or kinds[end] != kinds[begin] or size > TOGETHER_BYTES:
            yield list(range(begin, end))
            begin = end


def _accuracy(loss: float, accuracy: float, n: int) -> Columns:
    return {
        "test_loss": loss,
        "test_accuracy": accuracy,
        "test_accuracy_se": math.sqrt(accuracy * (1 - accuracy) / n),
        "test_n": n,
    }


def _sensitivity(program: Program, samples: Sequence[Data], seeds: Sequence[Seeds], points: int) -> list[Columns]:
    """The sensitivity columns of each model. Inside, the points of all models lie one after another in data units."""
    drawn = {id(data): _Draw(data, seed, points) for data, seed in zip(samples, seeds, strict=True)}
    mine = [drawn[id(data)] for data in samples]
    classes, on_sphere, models = samples[0].classes, samples[0].manifold == "unit-sphere", len(samples)
    x, y = torch.cat([d.x for d in mine]), torch.cat([d.y for d in mine])
    unit = torch.tensor([d.unit for d in mine], device=x.device).reshape(-1, *[1] * x.dim())

    def model(z: Tensor) -> Tensor:
        return program(z.unflatten(0, (models, -1)) * unit).flatten(0, 1)

    linear = first_order(model, x, classes).unflatten(0, (models, -1))
    wander = torch.cat([d.wander for d in mine], dim=1)
    nearest = attack(model, x, torch.stack([d.starts for d in mine]), classes, wander).unflatten(0, (models, -1))
    gradient = gradient_norms(model, x, classes, on_sphere)
    tangential, ambient = (norms.unflatten(0, (models, -1)) for norms in gradient)
    noisy = noise_response(model, x, y, classes, torch.cat([d.normal for d in mine]))
    right, flipped = (hits.float().unflatten(0, (models, -1)).mean(1).tolist() for hits in noisy)
    columns = []
    for m, draw in enumerate(mine):
        by_gradient, by_attack = stability(linear[m], STABILITY_CAP, leave_out=True), stability(nearest[m], STABILITY_CAP, leave_out=False)
        columns.append({
            "data_unit": draw.unit,
            "measure_points": len(draw.x),
            "stability_cap": STABILITY_CAP,
            "stability_first_order_mean": by_gradient.mean,
            "stability_first_order_median": by_gradient.median,
            "stability_first_order_censored": by_gradient.censored,
            "stability_attack_mean": by_attack.mean,
            "stability_attack_se": by_attack.se,
            "stability_attack_median": by_attack.median,
            "stability_attack_censored": by_attack.censored,
            "stability_attack_mean_l2": by_attack.mean * draw.unit,
            "gradient_of": "f" if classes is None else "margin",
            "lip_lower_grad": float(tangential[m].max()),
            "lip_mean_grad": float(tangential[m].mean()),
            "lip_lower_grad_ambient": float(ambient[m].max()),
            "lip_mean_grad_ambient": float(ambient[m].mean()),
            "noise_radii": list(RADII),
            "noise_accuracy": right[m],
            "noise_accuracy_se": [math.sqrt(a * (1 - a) / len(draw.x)) for a in right[m]],
            "noise_flip_rate": flipped[m],
        })  # fmt: skip
    return columns


class _Draw:
    """What one data set is measured with: points, neighbours to start from, random directions. In data units."""

    def __init__(self, data: Data, seeds: Seeds, points: int):
        rows = torch.randperm(len(data.x_test), generator=seeds.generator("measure"))[:points].to(data.x_test.device)
        self.unit = data.unit()
        self.x, self.y = data.x_test[rows] / self.unit, data.y_test[rows]
        self.starts = data.x_train[: 4 * MEASURE_POINTS] / self.unit
        self.normal = torch.randn(self.x.shape, generator=seeds.generator("input_noise")).to(self.x)
        self.wander = torch.randn(WANDER_DIRECTIONS, *self.x.shape, generator=seeds.generator("wander")).to(self.x)


def on_device(data: Data, device: torch.device) -> Data:
    """The same data with its tensors on `device`."""
    tensors = ("x_train", "y_train", "x_test", "y_test")
    return dataclasses.replace(data, **{name: getattr(data, name).to(device) for name in tensors})
