"""`launch` and `cancel` against a real job server.

Run alone: python -m pytest tests/on_cluster/test_jobs.py
"""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pytest

from tests.conftest import UNILAW
from tests.on_cluster.cuttable_wire import CuttableWire
from tests.on_cluster.job_cluster import Cluster, folder_with_namesakes

# a busy machine takes minutes for what takes half of one
pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

TASK = """
import os, time
import torch
from torch import nn
from harness.noise import flip_labels
from harness.task import Config, Data, Field, Size, Task

class GateConfig(Config):
    n: int = Field(default=32, ge=2, description="training points")
    gate: str = Field(default="", description="a file to wait for")
    broken: bool = Field(default=False, description="raise")
    max_epochs: int = Field(default=5, ge=1, description="epochs")
    width: int = Size(4, description="hidden units")

class Gate(Task):
    name = "gate"
    Config = GateConfig

    def input_shape(self, config):
        return (3,)

    def data(self, config, seeds):
        if config.broken:
            raise LookupError("nothing here")
        while config.gate and not os.path.exists(config.gate):
            time.sleep(0.1)
        x = torch.randn(2 * config.n, 3, generator=seeds.generator("data"))
        y, noise = flip_labels(torch.where(x[:, 0] > 0, 1.0, -1.0), 0.2, seeds.generator("noise"))
        return Data(x[:config.n], y[:config.n], x[config.n:], y[config.n:], noise)

    def model(self, config):
        return nn.Sequential(nn.Linear(3, config.width), nn.ReLU(), nn.Linear(config.width, 1))
"""

SMALL = """
name: small
seeds: [0]
limits: {measure_points: 8}
tasks:
  - task: gate
    grid: {width: [4, 8]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder, with a task file that has the name of a module of Python's."""
    folder = folder_with_namesakes(tmp_path / "work")
    (folder / "random.py").write_text(TASK)
    (folder / "small.yaml").write_text(SMALL)
    return folder


def unilaw(cluster: Cluster, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [UNILAW, *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=cluster.environment, capture_output=True, text=True, timeout=600
    )


@contextlib.contextmanager
def started(cluster: Cluster, folder: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A command in the background, which ends with the block."""
    command = [UNILAW, *map(str, arguments)]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=cluster.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
        # tests in the background ignore it, and so would this
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until(stream: IO[str] | None, words: str) -> str:
    """Read the stream up to the line with these words, and return what was read."""
    text = ""
    for line in stream or ():
        text += line
        if words in line:
            return text
    raise AssertionError(f"it ended without '{words}': {text}")


def ask(cluster: Cluster, path: str):
    """Return the job server's own answer on a job, or on all jobs."""
    header = {"Authorization": f"Bearer {cluster.environment['RAY_AUTH_TOKEN']}"}
    request = urllib.request.Request(f"{cluster.url}/api/jobs/{path}", headers=header)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def submitted(cluster: Cluster) -> list[dict[str, Any]]:
    """Return the jobs that `launch` has submitted."""
    return [job for job in ask(cluster, "") if job["type"] == "SUBMISSION"]


def rows(store: Path) -> pd.DataFrame:
    return pd.read_parquet(store).sort_values("trial_id", ignore_index=True)


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
"""Columns that must not depend on where a trial runs."""


def test_launched_twice_runs_once_and_survives_a_cut_wire(cluster, folder, tmp_path, unilaw_here):
    store = tmp_path / "rows"
    gate = tmp_path / "gate"
    (folder / "small.yaml").write_text(SMALL + f"    fixed: {{gate: {gate}}}\n")
    sweep = ("small.yaml", "--task-file", "random.py")
    launch = ("launch", *sweep, "--store", store, "--address")

    first = unilaw(cluster, folder, *launch, cluster.url, "--detach")
    assert first.returncode == 0, first.stderr
    name = first.stdout.strip()
    assert re.fullmatch("unilaw-small-[0-9a-f]{8}", name)
    assert f"to stop it: unilaw cancel {name} --address {cluster.url}" in first.stderr

    wire = CuttableWire(int(cluster.url.rpartition(":")[2]))
    with started(cluster, folder, *launch, wire.url) as second:
        assert f"{name} is running there already" in until(second.stderr, "its rows go to")
        before_the_cut = until(second.stdout, "2 trials to run")
        wire.cut()
        gate.touch()
        after_the_cut, errors = second.communicate(timeout=600)
    assert second.returncode == 0, errors
    assert "2 ok, 0 failed" in after_the_cut
    assert before_the_cut + after_the_cut == ask(cluster, f"{name}/logs")["logs"]
    assert wire.cuts == 1 and len(wire.open) > 2, "the log was asked for again"
    assert [job["submission_id"] for job in submitted(cluster)] == [name]

    there = rows(store)
    assert there["ray_version"].notna().all()
    assert there["status"].eq("ok").all() and len(there) == 2

    here = tmp_path / "here"
    here.mkdir()
    (here / "task.py").write_text(TASK)
    shutil.copy(folder / "small.yaml", here)
    sweep = ("small.yaml", "--task-file", "task.py")
    inline = unilaw_here("run", *sweep, "--inline", "--store", "rows", cwd=here)
    assert inline.returncode == 0, inline.stderr
    pd.testing.assert_frame_equal(there[MEASURED], rows(here / "rows")[MEASURED], check_exact=True)


@pytest.mark.soak
def test_detached_cancelled_and_launched_again_loses_nothing(cluster, folder, tmp_path):
    store = tmp_path / "rows"
    gate = tmp_path / "gate"
    # so long that it is a batch of its own
    gated = f"  - task: gate\n    fixed: {{gate: {gate}, n: 64, max_epochs: 10000}}\n"
    (folder / "gated.yaml").write_text(SMALL.replace("small", "gated") + gated)
    at_cluster = ("--address", cluster.url)
    launch = ("launch", "gated.yaml", "--task-file", "random.py", "--store", store, *at_cluster)

    with started(cluster, folder, *launch) as job:
        until(job.stdout, "3 trials to run in 2 batches")
        deadline = time.monotonic() + 300
        while not list(store.glob("part-*.parquet")):
            assert time.monotonic() < deadline and job.poll() is None
            time.sleep(0.1)
        job.send_signal(signal.SIGINT)
        _, errors = job.communicate(timeout=60)
    assert job.returncode == 130, errors
    assert "which goes on" in errors and "Traceback" not in errors
    name = re.findall(r"unilaw cancel (\S+) --address", errors)[0]
    assert ask(cluster, name)["status"] == "RUNNING"
    before = rows(store)
    assert 1 <= len(before) <= 2

    cancelled = unilaw(cluster, folder, "cancel", "gated.yaml", *at_cluster)
    assert cancelled.returncode == 0, cancelled.stderr
    assert f"{name} is cancelled" in cancelled.stdout
    assert ask(cluster, name)["status"] == "STOPPED"
    again = unilaw(cluster, folder, "cancel", name, *at_cluster)
    assert "has ended already: STOPPED" in again.stdout
    none = unilaw(cluster, folder, "cancel", "gated.yaml", *at_cluster)
    assert none.returncode == 2
    assert "no job of the sweep 'gated' is running" in none.stderr

    gate.touch()
    again = unilaw(cluster, folder, *launch)
    assert again.returncode == 0, again.stdout
    assert f"{name}-2 is submitted" in again.stderr
    after = rows(store)
    assert after["status"].eq("ok").all()
    assert len(after) == after["trial_id"].nunique() == 3
    kept = after[after["trial_id"].isin(before["trial_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before)

    third = unilaw(cluster, folder, *launch)
    assert third.returncode == 0, third.stderr
    assert "3 finished before" in third.stdout
    assert f"{name}-3 is submitted" in third.stderr
    assert len(rows(store)) == 3


@pytest.mark.soak
def test_exit_codes_are_those_of_run(cluster, folder, tmp_path):
    (folder / "broken.yaml").write_text(SMALL + "    fixed: {broken: true}\n")
    file = tmp_path / "file"
    file.touch()
    options = ("--task-file", "random.py", "--address", cluster.url, "--store")
    with (
        started(cluster, folder, "launch", "broken.yaml", *options, tmp_path / "rows") as failing,
        started(cluster, folder, "launch", "small.yaml", *options, file) as refused,
    ):
        output, errors = failing.communicate(timeout=600)
        assert failing.returncode == 1, errors
        assert "2 failed (2 bug)" in output
        assert "ended with exit code 1" in errors

        output, errors = refused.communicate(timeout=600)
        assert refused.returncode == 2, errors
        assert f"the store '{file}'" in output
        assert "Traceback" not in output


@pytest.mark.soak
def test_what_is_wrong_here_is_said_before_anything_is_submitted(cluster, folder):
    (folder / "bad.yaml").write_text(SMALL.replace("width", "breadth"))
    options = ("--task-file", "random.py", "--address", cluster.url)
    before = len(ask(cluster, ""))

    relative = unilaw(cluster, folder, "launch", "small.yaml", *options)
    assert relative.returncode == 2
    assert "the store 'runs/small' is relative" in relative.stderr

    bad = unilaw(cluster, folder, "launch", "bad.yaml", *options, "--store", "/rows")
    assert bad.returncode == 2
    assert "bad.yaml:7" in bad.stderr and "breadth" in bad.stderr

    address = ("--address", cluster.url)
    unknown = unilaw(cluster, folder, "cancel", "unilaw-small-00000000", *address)
    assert unknown.returncode == 2
    assert "there is no job unilaw-small-00000000" in unknown.stderr

    assert len(ask(cluster, "")) == before


@pytest.mark.soak  # against a server that refuses everybody: tests/dispatch/test_job_server.py
@pytest.mark.parametrize(
    "user",
    [{"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "x" * 64}],
    ids=["none", "another"],
)
def test_without_the_token_nothing_is_submitted_and_no_token_is_shown(
    cluster, folder, user: dict[str, str]
):
    before = len(ask(cluster, ""))
    other = cluster._replace(environment={**cluster.environment, **user})
    launch = ("launch", "small.yaml", "--task-file", "random.py", "--store", "/rows")
    refused = unilaw(other, folder, *launch, "--address", cluster.url)
    assert refused.returncode == 2
    assert "did not get the token that it asks for" in refused.stderr
    assert refused.stderr.count("\n") == 1
    for token in ("x" * 64, cluster.environment["RAY_AUTH_TOKEN"]):
        assert token not in refused.stderr
    assert len(ask(cluster, "")) == before


def test_no_secret_of_this_machine_goes_along(cluster):
    jobs = submitted(cluster)
    assert jobs
    assert not any((job["runtime_env"] or {}).get("env_vars") for job in jobs)
    assert cluster.environment["RAY_AUTH_TOKEN"] not in json.dumps(jobs)
