"""A run that loses its cluster's head: one sentence instead of Ray's own end of it, and what had
finished stays."""

import subprocess
import sysconfig
import time
from pathlib import Path

from harness.store.store import Store
from tests import SOAK_TASK
from tests.nodes import nodes

UNILAW = str(Path(sysconfig.get_path("scripts")) / "unilaw")

SWEEP = """
name: a
seeds: [0]
limits: {attempts: 1, measure_points: 0, seconds_per_trial: 3600}
tasks:
  - task: marathon
    fixed: {stop: epochs, n: 256, width: 32, max_epochs: 200000}
"""

PATIENCE_S = 240.0


def test_a_lost_head_is_a_sentence(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(SWEEP)
    with nodes(1) as cluster:
        command = [
            UNILAW,
            "run",
            "a.yaml",
            "--task-file",
            str(SOAK_TASK),
            "--store",
            "rows",
            "--address",
            cluster.address,
        ]
        run = subprocess.Popen(
            command,
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
            said, _ = run.communicate(timeout=PATIENCE_S)
        finally:
            run.kill()
            run.wait()
    assert run.returncode == 2, said
    assert (
        said.count("unilaw: the cluster's head at") == 1
        and "has died; finished trials are in the store" in said
    )
    assert "Traceback" not in said and "The program will terminate" not in said
    assert Store.open(tmp_path / "rows").read().rows["failure_kind"].tolist() in (
        [],
        ["preempted"],
    ), "no attempt is charged"
