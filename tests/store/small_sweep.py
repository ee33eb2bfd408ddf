"""A sweep of six trials that takes seconds, two ways to run `unilaw` on it, and a comparison of
results."""

import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from harness.cli import main
from tests.conftest import UNILAW

SWEEP = """
name: small
seeds: [0, 1]
limits: {measure_points: 16}
tasks:
  - task: sphere
    fixed: {n: 32, d: 4, max_epochs: 20}
    grid: {width: [4, 8, 12]}
"""

TIMES = [
    "started_at",
    "finished_at",
    "measured_at",
    "wall_s",
    "train_s",
    "measure_s",
    "measure_share",
    "peak_bytes",
]
"""Columns that differ between two runs of the same trial."""


def exit_code_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run `unilaw` in this process. Return the exit code."""
    monkeypatch.setattr("sys.argv", ["unilaw", *arguments])
    try:
        main()
    except SystemExit as e:
        return int(e.code or 0)
    return 0


def started(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """Start `unilaw` as a process of its own."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("COLUMNS", "RAY_ADDRESS")
    }
    return subprocess.Popen(
        [UNILAW, *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def assert_same_results(one: pd.DataFrame, other: pd.DataFrame, *ignored: str) -> None:
    """Compare two stores row by row, without TIMES and the ignored columns."""
    pd.testing.assert_frame_equal(_results(one, *ignored), _results(other, *ignored))


def _results(rows: pd.DataFrame, *ignored: str) -> pd.DataFrame:
    results = rows.drop(columns=[*TIMES, *ignored])
    return results.sort_values(["trial_id", "attempt"], ignore_index=True)
