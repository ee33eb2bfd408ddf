"""A language model's trial that is killed, however often, ends as if it had never been.

Run alone: python -m pytest tests/dispatch/test_language_killed.py
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

from harness.store.store import Store
from harness.sweeps.sweep import parse_sweep
from tests import ROOT
from tests.tasks.inline_trials import run
from tests.tasks.random_texts import write_texts

SWEEP = """
name: killed
seeds: [0]
limits: {{measure_points: 0}}
tasks:
  - task: text-stream
    fixed: {{source: "{source}", n: 1200, context: 32, batch_size: 16, depth: 2,
             dropout: 0.1, max_epochs: 4}}
"""
"""300 steps, in which dropout draws random numbers as well."""

EQUAL = [
    "train_loss",
    "train_error",
    "test_loss",
    "test_accuracy",
    "bits_per_byte",
    "ece",
    "p",
    "data_hash",
]
"""Columns that must not differ in any bit."""

DRIVER = """
import sys
from harness.training import checkpoint

checkpoint.EVERY_S = 0.1
from harness.cli import main

sys.argv = ["unilaw", "run", "killed.yaml", "--inline", "--store", "rows"]
main()
"""


def start(folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the driver in a session of its own."""
    with (folder / "output.txt").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            cwd=folder,
            env={**environment, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def newest(folder: Path) -> int:
    """Return when the newest checkpoint was written, in nanoseconds; 0 while there is none."""
    checkpoints = folder.glob("rows/_checkpoints/[!_]*")
    return max((path.stat().st_mtime_ns for path in checkpoints), default=0)


def killed(process: subprocess.Popen[bytes], folder: Path, pause: float) -> bool:
    """Kill the driver `pause` seconds after its first checkpoint. Return whether it was still at
    work then."""
    before = newest(folder)
    while process.poll() is None and newest(folder) == before:
        time.sleep(0.01)
    time.sleep(pause)
    at_work = process.poll() is None
    if at_work:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    return at_work


@pytest.mark.soak
@pytest.mark.timeout(900)  # each start takes Python, torch and transformers
@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.soak)])
def test_a_trial_that_is_killed_ends_bit_for_bit_as_one_that_was_not(
    kills: int, tmp_path: Path, environment: dict[str, str]
):
    text = SWEEP.format(source=write_texts(tmp_path / "texts"))
    (tmp_path / "killed.yaml").write_text(text)
    output = tmp_path / "output.txt"
    draw = random.Random(0)
    process = None
    try:
        for _ in range(kills):
            process = start(tmp_path, environment)
            at_work = killed(process, tmp_path, pause=draw.uniform(0, 0.5))
            assert at_work, output.read_text()
            contents = Store.open(tmp_path / "rows").read()
            assert len(contents.rows) == 0 and not contents.problems
        process = start(tmp_path, environment)
        assert process.wait(timeout=600) == 0, output.read_text()
    finally:
        if process and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)

    store = Store.open(tmp_path / "rows")
    (row,) = store.read().rows.to_dict("records")
    (whole,) = run(parse_sweep(text, "killed.yaml", {}).trials[0])
    assert (row["status"], row["attempt"], row["steps"]) == ("ok", 1, 300)
    assert 0 < row["resumed_step"] < 300 and whole["resumed_step"] is None
    for name in EQUAL:
        assert row[name] == whole[name], name
    assert [dict(point) for point in row["loss_curve"]] == whole["loss_curve"]
    kept = safetensors.torch.load((tmp_path / "rows" / row["weights_file"]).read_bytes())
    for name, tensor in safetensors.torch.load(whole["weights"]).items():
        assert torch.equal(tensor, kept[name]), name
    assert not list(tmp_path.glob("rows/_checkpoints/[!_]*")), "the trial has its row"
