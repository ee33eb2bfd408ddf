"""Every family of models, in float32 and bfloat16, trained and measured on both devices."""

import math
from collections.abc import Iterator
from typing import Any

from harness.execution.run_batch import run_batch
from harness.sweeps.sweep import parse_sweep
from harness.sweeps.trial import Batch, RunSettings, Trial
from tests.gpu.line import Line, Place

TEXT = "megabytes: 2, n: 64, context: 8, target_resample: 0.3, stop: epochs, max_epochs: 3"
STREAM = "megabytes: 2, n: 64, context: 16, batch_size: 8, depth: 1, width: 16, heads: 2"

FAMILIES = {
    "MLPs on the sphere": (
        "{task: sphere, fixed: {n: 64, d: 6, max_epochs: 5}, grid: {width: [4, 8]}}"
    ),
    "an MLP on digits": "{task: mnist, fixed: {n: 40, label_flip: 0.2, width: 4, max_epochs: 3}}",
    "a CNN": "{task: mnist, fixed: {n: 40, label_flip: 0.2, model: cnn, max_epochs: 2}}",
    "an MLP against PGD": (
        "{task: mnist, fixed: {n: 40, label_flip: 0.2, width: 4, max_epochs: 3, adversary: pgd,"
        " adversary_radius: 0.1, adversary_steps: 3}}"
    ),
    "GPTs on windows": f"{{task: text, fixed: {{{TEXT}}}, grid: {{width: [8, 16]}}}}",
    "a GPT, float32": f"{{task: text-stream, fixed: {{{STREAM}, precision: float32}}}}",
    "a GPT, bfloat16": f"{{task: text-stream, fixed: {{{STREAM}, precision: bfloat16}}}}",
}
TOLERANCES = {"a GPT, bfloat16": 3e-2}
"""The largest relative difference of a column; 1e-2 where nothing is said."""

COMPARED = ("train_loss", "test_loss", "stability_first_order_mean", "lip_lower_jacobian")


def run(place: Place) -> Iterator[Line]:
    points = place.sized(16, 2)
    for family, entry in FAMILIES.items():
        text = f"name: a\nseeds: [0]\ntasks:\n  - {entry}\n"
        trials = tuple(parse_sweep(text, "sweep.yaml").trials)
        differences = [
            _difference(here, on_cpu)
            for here, on_cpu in zip(
                _rows(trials, int(place.is_gpu), points), _rows(trials, 0, points), strict=True
            )
        ]
        most = TOLERANCES.get(family, 1e-2)
        yield Line.at_most(f"{family}: largest relative difference", max(differences), most)


def _rows(trials: tuple[Trial, ...], gpus: int, points: int) -> list[dict[str, Any]]:
    """Return the columns of trials that train as one batch, all of which must end well."""
    settings = RunSettings(1, gpus, 300.0, 10**8, points, checkpoints=None)
    results = run_batch(Batch((trials,)), settings)
    for result in results:
        if result.failure_kind:
            raise RuntimeError(f"{result.failure_kind}: {result.columns.get('failure_message')}")
    return [dict(result.columns) for result in results]


def _difference(row: dict[str, Any], other: dict[str, Any]) -> float:
    """Return the largest relative difference of the compared columns that both rows have."""
    for name in ("p", "data_hash", "epochs"):
        if row.get(name) != other.get(name):
            raise RuntimeError(f"{name} is {row.get(name)} here and {other.get(name)} on the CPU")

    shared = [n for n in COMPARED if isinstance(row.get(n), float) and other.get(n) is not None]
    if "train_loss" not in shared:
        raise RuntimeError("a row has no training loss")
    differences = [abs(row[n] - other[n]) / max(abs(other[n]), 1e-6) for n in shared]
    return math.inf if any(map(math.isnan, differences)) else max(differences)
