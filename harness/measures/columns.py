"""Every measured column of trained models: accuracy over the whole held-out set, sensitivity on
a draw of points."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from harness.measures.calibration import calibration
from harness.measures.dataset import describe
from harness.measures.measured import Measured
from harness.measures.points import STARTS, Draw, Probe
from harness.measures.sensitivity import certified_bound, sensitivity
from harness.measures.token_changes import token_response
from harness.store.schema import Columns
from harness.sweeps.trial import MEASURE_POINTS
from harness.task import EVALUATION_BATCH, Data, Seeds
from harness.training.loop import sample_losses, wrong
from harness.training.stack import Program

TOGETHER_BYTES = 3_000_000
"""Models are measured together while their points take no more than this: beyond, the
processor's cache is the limit."""


@sdpa_kernel(SDPBackend.MATH)
def measure(
    program: Program, samples: Sequence[Data], seeds: Sequence[Seeds], points: int = MEASURE_POINTS
) -> list[Measured]:
    """Every measured column of each trained model of a program, in evaluation mode and float32 or
    better.

    `samples` and `seeds` have one entry per model. Sensitivity is measured on `points` held-out
    points, right or wrong, drawn from the trial's own `measure` stream; with 0 points its columns
    are left out, as they are for a model whose loss is not finite. Attention runs as plain matmuls:
    fused kernels have no forward derivative.
    """
    program.train(False)
    columns: list[Columns] = [{} for _ in samples]
    pictures: list[bytes | None] = [None for _ in samples]
    for models in _rows(samples):
        part = program if len(models) == len(samples) else program.take(models)
        part.train(False)
        for m, held_out in zip(models, _held_out(part, [samples[m] for m in models]), strict=True):
            columns[m] = held_out
    finite = [m for m in range(len(samples)) if math.isfinite(columns[m]["test_loss"])]
    for chosen in _together([samples[m] for m in finite], points) if points else ():
        models = [finite[i] for i in chosen]
        part = program if len(models) == len(samples) else program.take(models)
        part.train(False)
        drawn: dict[tuple[int, Seeds], Draw] = {}
        for m in models:
            if (id(samples[m]), seeds[m]) not in drawn:
                drawn[id(samples[m]), seeds[m]] = Draw(samples[m], seeds[m], points)
        probe = Probe(
            part, [samples[m] for m in models], [drawn[id(samples[m]), seeds[m]] for m in models]
        )
        bounds = [
            certified_bound(program.unstack(m), samples[m], draw.unit)
            for m, draw in zip(models, probe.draws, strict=True)
        ]
        for m, found in zip(models, sensitivity(probe, bounds), strict=True):
            if text := samples[m].text:
                draw, module = drawn[id(samples[m]), seeds[m]], part.unstack(models.index(m)).eval()
                changes = token_response(
                    module, text, draw.rows, draw.y, seeds[m].generator("tokens")
                )
                columns[m]["token_changes"] = [change._asdict() for change in changes]
            columns[m] |= describe(samples[m]) | found.columns
            columns[m]["data_unit"] = drawn[id(samples[m]), seeds[m]].unit
            pictures[m] = found.pictures
    return [Measured(c, p) for c, p in zip(columns, pictures, strict=True)]


def _rows(samples: Sequence[Data]) -> list[list[int]]:
    """The models in rows that share a data set: all of them at once where the rows are equally
    long, else each row."""
    by_data: dict[int, list[int]] = {}
    for m, data in enumerate(samples):
        by_data.setdefault(id(data), []).append(m)
    rows = list(by_data.values())
    alike = {(len(row), samples[row[0]].x_test.shape) for row in rows}
    whole = [m for row in rows for m in row]
    return [whole] if len(alike) == 1 and whole == list(range(len(samples))) else rows


def _together(samples: Sequence[Data], points: int) -> Iterator[list[int]]:
    """Neighbouring models with the same kind of target, space and number of points, at most
    TOGETHER_BYTES of points at a time."""
    kinds = [
        (min(points, len(d.x_test)), len(d.x_train[:STARTS]), d.classes, d.manifold, d.box)
        for d in samples
    ]
    begin = 0
    for end in range(1, len(samples) + 1):
        size = 4 * kinds[begin][0] * samples[begin].x_test[0].numel() * (end - begin + 1)
        if end == len(samples) or kinds[end] != kinds[begin] or size > TOGETHER_BYTES:
            yield list(range(begin, end))
            begin = end


@torch.no_grad()
def _held_out(program: Program, samples: Sequence[Data]) -> list[Columns]:
    """Accuracy, loss and calibration over the whole held-out set. The models lie in rows that
    share a data set."""
    rows = list({id(data): data for data in samples}.values())
    size = max(EVALUATION_BATCH // len(rows), 64)
    parts = [
        program(torch.stack([d.x_test[begin : begin + size] for d in rows]))
        for begin in range(0, len(rows[0].x_test), size)
    ]
    outputs = torch.cat(parts, dim=1)
    columns = []
    judged = calibration(outputs, torch.stack([d.y_test for d in samples]), samples[0].classes)
    for output, data, about in zip(outputs, samples, judged, strict=True):
        n, accuracy = (
            len(data.x_test),
            1 - float(wrong(output, data.y_test, data.classes).double().mean()),
        )
        columns.append({
            "test_loss": float(sample_losses(output, data.y_test, data.classes).double().mean()),
            "test_accuracy": accuracy,
            "test_accuracy_se": math.sqrt(accuracy * (1 - accuracy) / n),
            "test_n": n,
            **about._asdict(),
        })  # fmt: skip
    return columns


def on_device(data: Data, device: torch.device) -> Data:
    """The same data with its tensors on `device`."""
    tensors = ("x_train", "y_train", "x_test", "y_test")
    text = data.text and data.text._replace(
        tokens=data.text.tokens.to(device), table=data.text.table.to(device)
    )
    return dataclasses.replace(
        data, text=text, **{name: getattr(data, name).to(device) for name in tensors}
    )
