"""Measure every column of trained models: accuracy over the whole held-out set, and sensitivity on
a draw of points.

How to add an instrument: docs/instruments.md, "Adding an instrument".
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from harness.measures.accuracy_columns import accuracy_columns
from harness.measures.ceiling_columns import ceiling_columns
from harness.measures.certified_bound import certified_bound
from harness.measures.class_isoperimetry import class_columns
from harness.measures.dataset import describe
from harness.measures.measured import Measured
from harness.measures.points import Draw, Probe
from harness.measures.sensitivity import sensitivity
from harness.measures.token_changes import token_response
from harness.measures.training_radius_columns import training_radius_columns
from harness.store.schema import Columns
from harness.sweeps.point_counts import PointCounts
from harness.task import Data, Seeds
from harness.training.stack import Program

TOGETHER_BYTES = 3_000_000
"""Models are measured together as long as their points take no more bytes than this. Beyond it the
processor's cache is the limit."""

FEWER_COORDINATES = 4
"""This multiple of it where models begin with a linear layer, and ℓ2 instruments work in the
layer's coordinates instead of all inputs. Four MNIST MLPs of width 64 are measured 1.64 times as
fast as one by one, without it 1.04 times (LOG.md)."""

GPU_PART = 1 / 1600
"""On a GPU the limit is this part of its memory. Gradients towards ten rivals, their copies, and
activations take up to a hundred times the points' bytes, and a batch may have only a sixteenth of a
GPU. When they do not fit, each model is measured by itself."""


@sdpa_kernel(SDPBackend.MATH)
def measure(
    program: Program,
    samples: Sequence[Data],
    seeds: Sequence[Seeds],
    points: int | tuple[int, int, int] = PointCounts(),
) -> list[Measured]:
    """Return every measured column of each trained model of a program, computed in evaluation mode
    and float32 or better.

    `samples` and `seeds` have one entry per model. Sensitivity is measured on held-out points,
    whether classified correctly or not, drawn from the trial's own `measure` stream, and the
    training radius on training points. `points` are the numbers of `PointCounts`, or one number for
    all. These columns are left out when it is 0, and for a model whose loss is not finite.

    Attention runs as plain matmuls: fused kernels have no forward derivative.
    """
    program.train(False)
    columns: list[Columns] = [{} for _ in samples]

    for models in _rows(samples):
        part = _part(program, models, len(samples))
        accuracies = accuracy_columns(part, [samples[m] for m in models])
        for m, of_model in zip(models, accuracies, strict=True):
            columns[m] = of_model

    measured = [Measured(of_model) for of_model in columns]
    counts = PointCounts.of(points)
    if counts.stability == 0:
        return measured
    finite = [m for m in range(len(samples)) if math.isfinite(columns[m]["test_loss"])]
    most = _most_bytes(program, samples[0].x_test.device)
    for chosen in _together([samples[m] for m in finite], counts, most):
        models = [finite[i] for i in chosen]
        part = _part(program, models, len(samples))
        sensitive = _at_points(
            part, [samples[m] for m in models], [seeds[m] for m in models], counts
        )
        for m, of_model in zip(models, sensitive, strict=True):
            measured[m] = Measured(columns[m] | of_model.columns, of_model.pictures)
    return measured


def _part(program: Program, models: list[int], of_all: int) -> Program:
    """Return a program of some of the models, in evaluation mode. For all models it is the program
    itself."""
    part = program if len(models) == of_all else program.take(models)
    part.train(False)
    return part


def _at_points(
    program: Program, samples: Sequence[Data], seeds: Sequence[Seeds], counts: PointCounts
) -> list[Measured]:
    """Return the columns and the picture of each model that are measured on a draw of points."""
    draws = _draws(samples, seeds, counts.others)
    probe = Probe(program, samples, draws)
    of_stability = probe
    if counts.stability > counts.others:
        of_stability = Probe(program, samples, _draws(samples, seeds, counts.stability))
    units = [draw.unit for draw in draws]
    radii = training_radius_columns(program, samples, seeds, units, counts.training_radius)
    bounds = [
        certified_bound(program.unstack(m), data, draw.unit)
        for m, (data, draw) in enumerate(zip(samples, draws, strict=True))
    ]

    measured = []
    for m, of_model in enumerate(sensitivity(of_stability, probe, bounds)):
        tokens = _token_columns(program.unstack(m), samples[m], draws[m], seeds[m])
        about_data = describe(samples[m]) | {"data_unit": draws[m].unit}
        about_data |= ceiling_columns(samples[m], draws[m].unit)
        about_data |= class_columns(samples[m], draws[m].unit)
        columns = tokens | about_data | radii[m] | of_model.columns
        measured.append(Measured(columns, of_model.pictures))
    return measured


def _draws(samples: Sequence[Data], seeds: Sequence[Seeds], points: int) -> list[Draw]:
    """Return each model's draw, made once for all models that share data set and seed."""
    drawn: dict[tuple[int, Seeds], Draw] = {}
    draws = []
    for data, seed in zip(samples, seeds, strict=True):
        key = (id(data), seed)
        if key not in drawn:
            drawn[key] = Draw(data, seed, points)
        draws.append(drawn[key])
    return draws


def _token_columns(module: nn.Module, data: Data, draw: Draw, seeds: Seeds) -> Columns:
    """Return a model's response to changed tokens, empty where its inputs are not text."""
    if not data.text:
        return {}
    generator = seeds.generator("tokens")
    responses = token_response(module.eval(), data.text, draw.rows, draw.y, generator)
    return {"token_changes": [response._asdict() for response in responses]}


def _rows(samples: Sequence[Data]) -> list[list[int]]:
    """Return the models in groups of rows that share a data set: all rows at once if they are
    equally long and lie one after another, otherwise one row at a time."""
    by_data: dict[int, list[int]] = {}
    for m, data in enumerate(samples):
        by_data.setdefault(id(data), []).append(m)
    rows = list(by_data.values())

    in_order = [m for row in rows for m in row] == list(range(len(samples)))
    shapes = {(len(row), samples[row[0]].x_test.shape) for row in rows}
    if len(shapes) == 1 and in_order:
        return [list(range(len(samples)))]
    return rows


def _together(samples: Sequence[Data], counts: PointCounts, most: float) -> Iterator[list[int]]:
    """Yield runs of neighbouring models that have the same kind of target, input space and number
    of points, at most `most` bytes of points at a time."""
    kinds = [
        (
            min(counts.stability, len(data.x_test)),
            min(counts.training_radius, len(data.x_train)),
            data.classes,
            data.manifold,
            data.box,
        )
        for data in samples
    ]
    begin = 0
    for end in range(1, len(samples) + 1):
        count = end - begin + 1  # models, if the one at `end` joins
        bytes_with_next = 4 * max(kinds[begin][:2]) * samples[begin].x_test[0].numel() * count
        if end == len(samples) or kinds[end] != kinds[begin] or bytes_with_next > most:
            yield list(range(begin, end))
            begin = end


def _most_bytes(program: Program, device: torch.device) -> float:
    """Return how many bytes the points of models that are measured together may take."""
    if device.type == "cuda":
        return GPU_PART * torch.cuda.mem_get_info(device)[1]
    return TOGETHER_BYTES * (FEWER_COORDINATES if program.first_layer() else 1)


def on_device(data: Data, device: torch.device) -> Data:
    """Return the same data with its tensors on `device`."""
    text = data.text
    if text:
        text = text._replace(tokens=text.tokens.to(device), table=text.table.to(device))
    return dataclasses.replace(
        data,
        x_train=data.x_train.to(device),
        y_train=data.y_train.to(device),
        x_test=data.x_test.to(device),
        y_test=data.y_test.to(device),
        text=text,
        y_positions=None if data.y_positions is None else data.y_positions.to(device),
    )
