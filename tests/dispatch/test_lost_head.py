"""A run that loses its cluster's head ends with one sentence of its own instead of Ray's, and what
had finished stays.

Run alone: python -m pytest tests/dispatch/test_lost_head.py
"""

import subprocess
import time
from pathlib import Path

import pytest

from harness.store.store import Store
from tests import SOAK_TASK
from tests.conftest import UNILAW
from tests.nodes import nodes

SWEEP = """
name: a
seeds: [0]
limits: {attempts: 1, measure_points: 0, seconds_per_trial: 3600}
tasks:
  - task: marathon
    fixed: {stop: epochs, n: 256, width: 32, max_epochs: 200000}
"""

PATIENCE_S = 240.0
"""How long to wait for the trial's first checkpoint, and for the run's end."""


@pytest.mark.soak
def test_a_lost_head_is_a_sentence(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(SWEEP)
    with nodes(1) as cluster:
        options = ["--task-file", str(SOAK_TASK), "--store", "rows"]
        run = subprocess.Popen(
            [UNILAW, "run", "a.yaml", *options, "--address", cluster.address],
            cwd=tmp_path,
            env=cluster.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not any((tmp_path / "rows" / "_checkpoints").glob("*.safetensors")):
                assert run.poll() is None and time.monotonic() < deadline, "the trial came to work"
                time.sleep(0.1)

            assert cluster.head is not None
            cluster.kill(cluster.head)
            output, _ = run.communicate(timeout=PATIENCE_S)
        finally:
            run.kill()
            run.wait()

    assert run.returncode == 2, output
    assert output.count("unilaw: the cluster's head at") == 1
    assert "has died; finished trials are in the store" in output
    assert "Traceback" not in output
    assert "The program will terminate" not in output, "Ray's own end of a process"
    kinds = Store.open(tmp_path / "rows").read().rows["failure_kind"].tolist()
    assert kinds in ([], ["preempted"]), "no attempt is charged"
