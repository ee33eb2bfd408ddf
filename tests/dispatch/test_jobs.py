"""`launch` and `cancel` against a real job server: a head without CPUs, a node that has them,
token authentication."""

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import pandas as pd
import pytest

from harness.dispatch import jobs
from harness.errors import UserError
from harness.sweeps.sweep import parse_sweep
from tests.conftest import UNILAW
from tests.nodes import RAY, free_port

pytestmark = pytest.mark.timeout(900)  # a busy machine takes minutes for what takes half of one

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
tasks:
  - task: gate
    grid: {width: [4, 8]}
"""


class Cluster(NamedTuple):
    """`environment`: of a user who has the token."""

    url: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def cluster(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two nodes with folders of their own, as on two machines; the head has no CPUs. Ended by
    their own pids."""
    token, port, dashboard = secrets.token_hex(32), free_port(), free_port()
    with_token = {
        **environment,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    of_job = {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"}  # it runs `python`
    elsewhere, logs = hostile(tmp_path_factory.mktemp("hostile")), tmp_path_factory.mktemp("logs")
    ports = [
        "--dashboard-agent-listen-port=0",
        "--min-worker-port=0",
        "--max-worker-port=0",
        "--object-store-memory=80000000",
        "--block",
    ]
    head = [
        "--head",
        f"--port={port}",
        f"--ray-client-server-port={free_port()}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={dashboard}",
    ]
    with contextlib.ExitStack() as ending:
        for name, options in (
            ("head", [*head, "--num-cpus=0"]),
            ("node", [f"--address=127.0.0.1:{port}", "--num-cpus=2"]),
        ):
            # short, for sockets
            folder = ending.enter_context(
                tempfile.TemporaryDirectory(prefix="ul-", ignore_cleanup_errors=True)
            )
            command = [RAY, "start", *options, *ports, f"--temp-dir={folder}"]
            with (logs / name).open("w") as out:
                process = subprocess.Popen(
                    command, env=with_token | of_job, cwd=elsewhere, stdout=out, stderr=out
                )
            ending.callback(stop, process)
            deadline = time.monotonic() + 300
            while "Ray runtime started" not in (logs / name).read_text():
                assert process.poll() is None and time.monotonic() < deadline, (
                    logs / name
                ).read_text()
                time.sleep(0.2)
        yield Cluster(f"http://127.0.0.1:{dashboard}", with_token)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's, with a task file that has the name of a module of Python's."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "random.py").write_text(TASK)
    (tmp_path / "work" / "small.yaml").write_text(SMALL)
    return hostile(tmp_path / "work")


def hostile(folder: Path) -> Path:
    """Packages that have the names of ours, in a folder where Ray or `unilaw` is started."""
    for name in ("harness", "tasks", "clusters", "reports"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise RuntimeError('not this one')\n")
    return folder


def unilaw(cluster: Cluster, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [UNILAW, *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=cluster.environment, capture_output=True, text=True, timeout=600
    )


@contextlib.contextmanager
def started(cluster: Cluster, folder: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command, pipe = [UNILAW, *map(str, arguments)], subprocess.PIPE
    with subprocess.Popen(
        command,
        cwd=folder,
        env=cluster.environment,
        stdout=pipe,
        stderr=pipe,
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
    """What the stream says, up to the line with these words."""
    said = ""
    for line in stream or ():
        said += line
        if words in line:
            return said
    raise AssertionError(f"it ended without '{words}': {said}")


def ask(cluster: Cluster, path: str):
    header = {"Authorization": f"Bearer {cluster.environment['RAY_AUTH_TOKEN']}"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{cluster.url}/api/jobs/{path}", headers=header), timeout=60
    ) as answer:
        return json.load(answer)


class Wire:
    """A connection between here and a port that can be cut: everything open is closed, and new
    ones work again."""

    def __init__(self, port: int):
        self.upstream, self.open, self.cuts = port, [], 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self.server.accept()
                there = socket.create_connection(("127.0.0.1", self.upstream))
                self.open += [here, there]
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := one.recv(65536):
                other.sendall(content)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        for end in self.open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.open, self.cuts = [], self.cuts + 1


def rows(store: Path) -> pd.DataFrame:
    return pd.read_parquet(store).sort_values("trial_id", ignore_index=True)


def test_launched_twice_runs_once_and_survives_a_cut_wire(cluster, folder, tmp_path):
    store, gate = tmp_path / "rows", tmp_path / "gate"
    (folder / "small.yaml").write_text(SMALL + f"    fixed: {{gate: {gate}}}\n")
    what = ("launch", "small.yaml", "--task-file", "random.py", "--store", store, "--address")
    first = unilaw(cluster, folder, *what, cluster.url, "--detach")
    assert first.returncode == 0, first.stderr
    name = first.stdout.strip()
    assert re.fullmatch("unilaw-small-[0-9a-f]{8}", name)
    assert f"to stop it: unilaw cancel {name} --address {cluster.url}" in first.stderr

    wire = Wire(int(cluster.url.rpartition(":")[2]))
    with started(cluster, folder, *what, wire.url) as second:
        assert f"{name} is running there already" in until(second.stderr, "its rows go to")
        said = until(second.stdout, "2 trials to run")
        wire.cut()
        gate.touch()
        rest, errors = second.communicate(timeout=600)
    assert second.returncode == 0, errors
    assert said + rest == ask(cluster, f"{name}/logs")["logs"] and "2 ok, 0 failed" in rest
    assert wire.cuts == 1 and len(wire.open) > 2, "the log was asked for again"
    assert [j["submission_id"] for j in ask(cluster, "") if j["type"] == "SUBMISSION"] == [name]

    assert (
        unilaw(
            cluster, folder, "run", *what[1:4], "--inline", "--store", tmp_path / "inline"
        ).returncode
        == 0
    )
    there, here = rows(store), rows(tmp_path / "inline")
    same = [
        "trial_id",
        "attempt",
        "p",
        "epochs",
        "train_loss",
        "test_loss",
        "data_hash",
        "unilaw_version",
        "commit",
        "dirty",
    ]
    pd.testing.assert_frame_equal(there[same], here[same], check_exact=True)
    assert there["ray_version"].notna().all() and there["status"].eq("ok").all()

    third = unilaw(cluster, folder, *what, cluster.url)
    assert (
        third.returncode == 0
        and "2 finished before" in third.stdout
        and f"{name}-2 is submitted" in third.stderr
    )
    assert len(rows(store)) == 2


def test_detached_cancelled_and_launched_again_loses_nothing(cluster, folder, tmp_path):
    store, gate = tmp_path / "rows", tmp_path / "gate"
    gated = (
        f"  - task: gate\n    fixed: {{gate: {gate}, n: 64, max_epochs: 10000}}  # so long that it"
        " is a batch of its own\n"
    )
    (folder / "gated.yaml").write_text(SMALL.replace("small", "gated") + gated)
    what = (
        "launch",
        "gated.yaml",
        "--task-file",
        "random.py",
        "--store",
        store,
        "--address",
        cluster.url,
    )
    with started(cluster, folder, *what) as job:
        until(job.stdout, "3 trials to run in 2 batches")
        deadline = time.monotonic() + 300
        while not list(store.glob("part-*.parquet")):
            assert time.monotonic() < deadline and job.poll() is None
            time.sleep(0.1)
        job.send_signal(signal.SIGINT)
        _, errors = job.communicate(timeout=60)
    assert job.returncode == 130 and "which goes on" in errors and "Traceback" not in errors
    name = re.findall(r"unilaw cancel (\S+) --address", errors)[0]
    assert ask(cluster, name)["status"] == "RUNNING"
    before = rows(store)
    assert 1 <= len(before) <= 2

    cancelled = unilaw(cluster, folder, "cancel", "gated.yaml", "--address", cluster.url)
    assert cancelled.returncode == 0 and f"{name} is cancelled" in cancelled.stdout, (
        cancelled.stderr
    )
    assert ask(cluster, name)["status"] == "STOPPED"
    assert (
        "has ended already: STOPPED"
        in unilaw(cluster, folder, "cancel", name, "--address", cluster.url).stdout
    )
    none = unilaw(cluster, folder, "cancel", "gated.yaml", "--address", cluster.url)
    assert none.returncode == 2 and "no job of the sweep 'gated' is running" in none.stderr

    gate.touch()
    again = unilaw(cluster, folder, *what)
    assert again.returncode == 0 and f"{name}-2 is submitted" in again.stderr, again.stdout
    after = rows(store)
    assert after["status"].eq("ok").all() and len(after) == 3 == after["trial_id"].nunique()
    kept = after[after["trial_id"].isin(before["trial_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before)


def test_exit_codes_are_those_of_run(cluster, folder, tmp_path):
    (folder / "broken.yaml").write_text(SMALL + "    fixed: {broken: true}\n")
    file = tmp_path / "file"
    file.touch()
    options = ("--task-file", "random.py", "--address", cluster.url, "--store")
    with (
        started(cluster, folder, "launch", "broken.yaml", *options, tmp_path / "rows") as failing,
        started(cluster, folder, "launch", "small.yaml", *options, file) as refused,
    ):
        said, errors = failing.communicate(timeout=600)
        assert (
            failing.returncode == 1
            and "2 failed (2 bug)" in said
            and "ended with exit code 1" in errors
        )
        said, errors = refused.communicate(timeout=600)
    assert refused.returncode == 2 and f"the store '{file}'" in said and "Traceback" not in said


def test_what_is_wrong_here_is_said_before_anything_is_submitted(cluster, folder):
    (folder / "bad.yaml").write_text(SMALL.replace("width", "breadth"))
    options = ("--task-file", "random.py", "--address", cluster.url)
    before = len(ask(cluster, ""))
    relative = unilaw(cluster, folder, "launch", "small.yaml", *options)
    assert relative.returncode == 2 and "the store 'runs/small' is relative" in relative.stderr
    bad = unilaw(cluster, folder, "launch", "bad.yaml", *options, "--store", "/rows")
    assert bad.returncode == 2 and "bad.yaml:6" in bad.stderr and "breadth" in bad.stderr
    for mode in ({"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "x" * 64}):
        other = Cluster(cluster.url, {**cluster.environment, **mode})
        no = unilaw(other, folder, "launch", "small.yaml", *options, "--store", "/rows")
        assert (
            no.returncode == 2
            and "did not get the token that it asks for" in no.stderr
            and no.stderr.count("\n") == 1
        )
        assert "x" * 64 not in no.stderr and cluster.environment["RAY_AUTH_TOKEN"] not in no.stderr
    unknown = unilaw(cluster, folder, "cancel", "unilaw-small-00000000", "--address", cluster.url)
    assert unknown.returncode == 2 and "there is no job unilaw-small-00000000" in unknown.stderr
    assert len(ask(cluster, "")) == before


def test_no_secret_of_this_machine_goes_along(cluster):
    jobs = [j for j in ask(cluster, "") if j["type"] == "SUBMISSION"]
    assert jobs and not any((j["runtime_env"] or {}).get("env_vars") for j in jobs)
    assert cluster.environment["RAY_AUTH_TOKEN"] not in json.dumps(jobs)


@pytest.mark.parametrize(
    "address",
    [
        "auto",
        "127.0.0.1:8265",
        "ray://127.0.0.1:10001",
        "http://127.0.0.1",
        "http://a:b",
        "http://a:1/x",
        "http://me:pw@a:1",
        "",
    ],
)
def test_another_form_of_address_is_refused(address):
    with pytest.raises(UserError, match="must be http://HOST:PORT"):
        jobs.connect(address)


def test_nobody_there_is_one_sentence():
    with pytest.raises(UserError, match="no Ray job server answers there"):
        jobs.connect(f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    "answer",
    [b"", b"hello\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"],
)
def test_something_else_there_is_one_sentence(answer, monkeypatch):
    """A listener that says nothing, one that does not speak HTTP, a web server that is no job
    server."""
    monkeypatch.setattr(jobs, "KNOCK_S", 1.0)
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:1")  # is not what was typed
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                if answer:
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.close()

    threading.Thread(target=serve, daemon=True).start()
    began = time.monotonic()
    with (
        server,
        pytest.raises(UserError, match=f"http://127.0.0.1:{server.getsockname()[1]}") as said,
    ):
        jobs.connect(f"http://127.0.0.1:{server.getsockname()[1]}")
    assert len(str(said.value).splitlines()) == 1 and time.monotonic() - began < 10
    assert "RAY_ADDRESS" not in os.environ


@pytest.mark.parametrize("store", ["/rows", "s3://bucket/rows", "gs://bucket/rows/"])
def test_stores_that_a_cluster_can_write(store):
    sweep = parse_sweep("name: a\nseeds: [0]\ntasks:\n  - task: sphere\n", "a.yaml")
    assert jobs.store_for(sweep, store) == store.rstrip("/")


@pytest.mark.parametrize("store", ["rows", "./rows", "~/rows", ""])
def test_stores_that_would_go_with_the_job(store):
    sweep = parse_sweep("name: a\nseeds: [0]\ntasks:\n  - task: sphere\n", "a.yaml")
    with pytest.raises(UserError, match="is relative"):
        jobs.store_for(sweep, store)


def test_a_store_that_repeats_a_secret_is_refused_here():
    sweep = parse_sweep("name: a\nseeds: [0]\ntasks:\n  - task: sphere\n", "a.yaml")
    with pytest.raises(UserError, match="carries credentials") as said:
        jobs.store_for(sweep, "s3://me:hunter2@bucket/rows")
    assert "hunter2" not in str(said.value)
