"""Trials run in this process."""

from typing import Any

from harness.execution.run_batch import run_batch
from harness.sweeps.trial import Batch, RunSettings, Trial

# Trials


def run(*stacks: Trial | tuple[Trial, ...], points: int = 0) -> list[dict[str, Any]]:
    given = RunSettings(1, 0, 600, 10**7, points, checkpoints=None)
    return run_batch(Batch(tuple(s if isinstance(s, tuple) else (s,) for s in stacks)), given)
