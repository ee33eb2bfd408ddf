"""Trials run in this process."""

from typing import Any

from harness.execution.run_batch import run_batch
from harness.sweeps.trial import Batch, RunSettings, Trial


def run(*stacks: Trial | tuple[Trial, ...], points: int = 0) -> list[dict[str, Any]]:
    """Run stacks of trials, or single trials, and return their rows in order, each with its final
    `weights`.

    points: number of held-out points on which each model is measured.
    """
    settings = RunSettings(1, 0, 600, 10**7, points, checkpoints=None)
    batch = Batch(tuple(stack if isinstance(stack, tuple) else (stack,) for stack in stacks))
    results = run_batch(batch, settings)
    return [result.columns | {"weights": result.weights} for result in results]
