"""`run --address` from outside a Ray cluster that somebody else started, with its token. A job runs
the command from inside: test_jobs.py.

Run alone: python -m pytest tests/on_cluster/test_address.py
"""

import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import UNILAW
from tests.nodes import free_port
from tests.on_cluster.job_cluster import Cluster
from tests.on_cluster.test_jobs import MEASURED

pytestmark = pytest.mark.ray

SWEEP = """
name: small
seeds: [0]
limits: {measure_points: 8}
tasks:
  - task: sphere
    fixed: {n: 32, d: 4, max_epochs: 20}
    grid: {width: [4, 8]}
"""


def run(
    environment: dict[str, str], folder: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    (folder / "small.yaml").write_text(SWEEP)
    command = [UNILAW, "run", "small.yaml", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=180
    )


def rows(store: Path) -> pd.DataFrame:
    return pd.read_parquet(store).sort_values("trial_id", ignore_index=True)


@pytest.mark.soak
def test_a_running_cluster_gives_the_same_rows_as_inline(cluster: Cluster, unilaw_here, tmp_path):
    done = run(cluster.environment, tmp_path, "--address", cluster.address, "--store", "ray")
    assert done.returncode == 0, done.stderr
    inline = unilaw_here("run", "small.yaml", "--inline", "--store", "inline", cwd=tmp_path)
    assert inline.returncode == 0, inline.stderr

    on_ray = rows(tmp_path / "ray")
    pd.testing.assert_frame_equal(
        on_ray[MEASURED], rows(tmp_path / "inline")[MEASURED], check_exact=True
    )
    assert on_ray["ray_version"].notna().all()


@pytest.mark.soak
def test_more_than_the_cluster_has_is_refused_with_both_numbers(cluster: Cluster, tmp_path):
    (tmp_path / "wide.yaml").write_text(SWEEP + "resources: {cpus: 3}\n")
    command = [UNILAW, "run", "wide.yaml", "--address", cluster.address]
    done = subprocess.run(
        command, cwd=tmp_path, env=cluster.environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2, done.stderr
    assert "one trial needs 3 CPUs" in done.stderr
    assert "the cluster has 2" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.soak
def test_no_cluster_at_the_address_is_one_sentence(tmp_path):
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    done = run(environment, tmp_path, "--address", f"127.0.0.1:{free_port()}")
    assert done.returncode == 2, done.stderr
    assert "no Ray cluster answers there" in done.stderr
    assert "Traceback" not in done.stderr
