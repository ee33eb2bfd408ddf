"""Fill the columns `test_*` and those of `calibration.py`, from trained models over their whole
held-out sets."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from harness.measures.calibration import Calibration, calibration
from harness.store.schema import Columns
from harness.task import EVALUATION_BATCH, Data
from harness.training.evaluation import sample_losses, wrong
from harness.training.stack import Program

LEAST_BATCH = 64
"""Fewest samples of a data set in one call, when many data sets share EVALUATION_BATCH."""


@torch.no_grad()
def accuracy_columns(program: Program, samples: Sequence[Data]) -> list[Columns]:
    """Return each model's accuracy, loss and calibration over its whole held-out set.

    `samples` has one entry per model. The models lie in rows that share a data set.
    """
    outputs = _held_out_outputs(program, samples)
    targets = torch.stack([data.y_test for data in samples])
    calibrations = calibration(outputs, targets, samples[0].classes)
    return [
        _of_model(output, data, calibrated)
        for output, data, calibrated in zip(outputs, samples, calibrations, strict=True)
    ]


def _held_out_outputs(program: Program, samples: Sequence[Data]) -> Tensor:
    """Return the outputs (M, N, K), computed in batches of each row's data set."""
    rows = list({id(data): data for data in samples}.values())
    size = max(EVALUATION_BATCH // len(rows), LEAST_BATCH)
    batches = []
    for begin in range(0, len(rows[0].x_test), size):
        x = torch.stack([data.x_test[begin : begin + size] for data in rows])
        batches.append(program(x))
    return torch.cat(batches, dim=1)


def _of_model(output: Tensor, data: Data, calibrated: Calibration) -> Columns:
    """Return one model's columns, from its outputs (N, K)."""
    losses = sample_losses(output, data.y_test, data.classes).double()
    errors = wrong(output, data.y_test, data.classes).double()
    accuracy = 1 - float(errors.mean())
    n = len(data.x_test)
    return {
        "test_loss": float(losses.mean()),
        "test_accuracy": accuracy,
        "test_accuracy_se": math.sqrt(accuracy * (1 - accuracy) / n),
        "test_n": n,
        **calibrated._asdict(),
    }
