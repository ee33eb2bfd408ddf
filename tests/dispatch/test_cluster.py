"""`--address`: the same sweep through a Ray cluster that somebody else started, with its token.

Run alone: python -m pytest tests/dispatch/test_cluster.py
"""

import os
import secrets
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import UNILAW
from tests.nodes import RAY, free_port

pytestmark = pytest.mark.ray

SWEEP = """
name: small
seeds: [0]
tasks:
  - task: sphere
    fixed: {n: 32, d: 4, max_epochs: 20}
    grid: {width: [4, 8]}
"""

MEASURED = [
    "trial_id",
    "p",
    "epochs",
    "train_loss",
    "test_loss",
    "stability_attack_mean",
    "lip_lower_grad",
    "data_hash",
]


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """Environment and address of a one-CPU Ray head with token authentication, which is ended by
    its own pid."""
    port = free_port()
    log = tmp_path_factory.mktemp("head") / "log"
    environment = {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    options = [f"--port={port}", "--num-cpus=1", "--include-dashboard=false", "--block"]
    command = [RAY, "start", "--head", *options]
    with log.open("w") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 60
        while "Ray runtime started" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield environment, f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


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


def test_a_running_cluster_gives_the_same_rows_as_inline(head, tmp_path):
    environment, address = head
    done = run(environment, tmp_path, "--address", address, "--store", "ray")
    assert done.returncode == 0, done.stderr
    assert run(environment, tmp_path, "--inline", "--store", "inline").returncode == 0

    on_ray = rows(tmp_path / "ray")
    inline = rows(tmp_path / "inline")
    pd.testing.assert_frame_equal(on_ray[MEASURED], inline[MEASURED], check_exact=True)
    assert on_ray["ray_version"].notna().all()
    assert inline["ray_version"].isna().all()


@pytest.mark.soak
def test_more_than_the_cluster_has_is_refused_with_both_numbers(head, tmp_path):
    environment, address = head
    (tmp_path / "wide.yaml").write_text(SWEEP + "resources: {cpus: 2}\n")
    command = [UNILAW, "run", "wide.yaml", "--address", address]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2, done.stderr
    assert "one trial needs 2 CPUs" in done.stderr
    assert "the cluster has 1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.soak
def test_no_cluster_at_the_address_is_one_sentence(tmp_path):
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    done = run(environment, tmp_path, "--address", f"127.0.0.1:{free_port()}")
    assert done.returncode == 2, done.stderr
    assert "no Ray cluster answers there" in done.stderr
    assert "Traceback" not in done.stderr
