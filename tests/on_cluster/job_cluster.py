"""A Ray cluster with a job server on this machine: a head without CPUs, a node that has them, token
authentication."""

import contextlib
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.dispatch.worker import NAMES
from tests.nodes import RAY, free_port

START_S = 300.0
"""A node is up in seconds, but not on a busy machine."""


class Cluster(NamedTuple):
    """A running cluster, as its user sees it."""

    url: str
    """Of the job server."""
    address: str
    """Of the head, for `run --address`."""
    environment: dict[str, str]
    """Of a user who has the token."""


@contextlib.contextmanager
def job_cluster(environment: dict[str, str], folder: Path) -> Iterator[Cluster]:
    """Run two nodes with folders of their own, as on two machines. `folder` holds their logs and
    the folder that they are started in."""
    port = free_port()
    dashboard_port = free_port()
    of_user = {
        **environment,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    # a job runs `python`
    of_nodes = {**of_user, "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"}

    head = [
        "--head",
        f"--port={port}",
        f"--ray-client-server-port={free_port()}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={dashboard_port}",
        "--num-cpus=0",
    ]
    node = [f"--address=127.0.0.1:{port}", "--num-cpus=2"]
    start = folder_with_namesakes(folder / "start")
    with (
        _running_node(head, of_nodes, start, log=folder / "head.log"),
        _running_node(node, of_nodes, start, log=folder / "node.log"),
    ):
        yield Cluster(f"http://127.0.0.1:{dashboard_port}", f"127.0.0.1:{port}", of_user)


@contextlib.contextmanager
def _running_node(
    options: list[str], environment: dict[str, str], folder: Path, log: Path
) -> Iterator[None]:
    """Start a node, wait until it runs, and end it by its own pid."""
    common = [
        "--dashboard-agent-listen-port=0",
        "--min-worker-port=0",
        "--max-worker-port=0",
        "--object-store-memory=80000000",
        "--block",
    ]
    # a short path, for sockets
    with tempfile.TemporaryDirectory(prefix="ul-", ignore_cleanup_errors=True) as temporary:
        command = [RAY, "start", *options, *common, f"--temp-dir={temporary}"]
        with log.open("w") as out:
            process = subprocess.Popen(command, env=environment, cwd=folder, stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + START_S
            while "Ray runtime started" not in log.read_text():
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait(60)


def folder_with_namesakes(folder: Path) -> Path:
    """Make a folder where Ray or `unilaw` is started, with broken packages that have the names of
    ours."""
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise RuntimeError('not this one')\n")
    return folder
