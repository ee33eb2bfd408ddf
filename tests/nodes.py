"""A Ray cluster of several nodes on this machine, each a real `ray start` that can be lost like a
machine.

    with nodes(3) as cluster:
        command = [UNILAW, "run", "a.yaml", "--address", cluster.address]
        subprocess.run(command, env=cluster.environment)

A node is known by the session that its `ray start` leads: all of its processes are in it, and
nothing else is.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

RAY = str(Path(sysconfig.get_path("scripts")) / "ray")

START_S = 90.0
"""A node is up in 5 s, or in 30 s where the machine is busy."""

SOON = {"RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "1000"}
"""When a head looks after its nodes; Ray's own periods have it miss a lost one for half a
minute."""

TRIES = 3
"""Of a node's start, in which Ray gives up waiting for itself where the machine is swamped."""


class Node(NamedTuple):
    """A running node. `session`: also the process id of its `ray start`. `id`: Ray's, in
    hexadecimal."""

    process: subprocess.Popen[bytes]
    id: str
    log: Path

    @property
    def session(self) -> int:
        return self.process.pid


class Nodes:
    """A cluster whose nodes come and go. `environment`: of every process that talks to it, the
    token included."""

    def __init__(self, cpus: int, folder: Path, environment: dict[str, str] | None):
        self.cpus, self.folder, self.port = cpus, folder, free_port()
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.environment = {
            **(environment or os.environ),
            **token,
            **SOON,
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self.head: Node | None = None
        self.workers: list[Node] = []
        self._started: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start_head(self) -> Node:
        """Start a head at the cluster's address; a new one knows nothing of a dead one's nodes.

        Raises RuntimeError when it does not come up.
        """
        self.head = self._start(
            "--head",
            f"--port={self.port}",
            "--include-dashboard=false",
            f"--temp-dir={self.folder}",
        )
        return self.head

    def add(self) -> Node:
        """Start one more node; it has joined when this returns. Raises RuntimeError when it does
        not come up."""
        node = self._start(f"--address={self.address}")
        self.workers.append(node)
        return node

    def kill(self, node: Node) -> None:
        """Lose the node as one loses a machine: all of its processes at once, and nobody is
        told."""
        end(node.session)
        node.process.wait()
        if node is self.head:
            self.head = None
        else:
            self.workers.remove(node)

    def give_notice(self, node: Node, seconds: int) -> None:
        """Say that the node will be taken away in so many seconds, as a cloud's spot notice
        does: it gets no new work."""
        reason = [
            "--reason=DRAIN_NODE_REASON_PREEMPTION",
            "--reason-message=spot notice",
            f"--deadline-remaining-seconds={seconds}",
        ]
        command = [RAY, "drain-node", f"--address={self.address}", f"--node-id={node.id}", *reason]
        subprocess.run(
            command, env=self.environment, check=True, capture_output=True, timeout=START_S
        )

    def end(self) -> None:
        """Leave nothing running."""
        for process in self._started:
            end(process.pid)
            process.wait()

    def _start(self, *options: str) -> Node:
        said = ""
        for _ in range(TRIES):
            node = self._try(*options)
            deadline = time.monotonic() + START_S
            while node.process.poll() is None and time.monotonic() < deadline:
                if "Ray runtime started" in node.log.read_text():
                    return node
                time.sleep(0.1)
            said = node.log.read_text()
            end(node.session)
        raise RuntimeError(f"a Ray node did not start: {said}")

    def _try(self, *options: str) -> Node:
        node_id, log = (
            secrets.token_hex(28),
            self.folder / f"start-{sum(1 for _ in self.folder.glob('start-*'))}.log",
        )
        size = [f"--num-cpus={self.cpus}", "--object-store-memory=80000000"]
        ports = ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]
        with log.open("wb") as said:
            process = subprocess.Popen(
                [RAY, "start", "--block", *options, *size, *ports],
                env={**self.environment, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": node_id},
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return Node(process, node_id, log)


@contextlib.contextmanager
def nodes(n: int, cpus: int = 1, environment: dict[str, str] | None = None) -> Iterator[Nodes]:
    """A cluster of n nodes, one of them the head, each with so many CPUs; token authentication
    is on. Ends what it started."""
    # short: sockets below it may have 107 characters
    folder = Path(tempfile.mkdtemp(prefix="unilaw-"))
    cluster = Nodes(cpus, folder, environment)
    try:
        cluster.start_head()
        for _ in range(n - 1):
            cluster.add()
        yield cluster
    finally:
        cluster.end()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def in_session(session: int) -> dict[int, str]:
    """Process id and command line of the processes of a session: for a run's, the command, Ray,
    and Ray's workers."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError):  # it ended while we looked
            state, *numbers = (
                (entry / "stat").read_text().rpartition(")")[2].split()
                if entry.name.isdigit()
                else ("Z",)
            )
            if state != "Z" and int(numbers[2]) == session:
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
    return found


def busy(*sessions: int) -> list[int]:
    """Ids of the workers that are at a batch now; Ray names a worker after what it runs."""
    return [
        pid
        for session in sessions
        for pid, command in in_session(session).items()
        if command.startswith("ray::Worker.work")
    ]


def kill(pid: int) -> None:
    """SIGKILL, unless it is gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def end(session: int) -> None:
    """Kill all of a session, its leader first, so that it cannot write down the deaths of the
    others.

    Raises RuntimeError when processes of it do not die.
    """
    for _ in range(200):
        for pid in sorted(in_session(session), key=lambda pid: pid != session):
            kill(pid)
        if not in_session(session).keys() - {session}:  # the leader itself waits to be reaped
            return
        time.sleep(0.05)
    raise RuntimeError(f"processes of session {session} do not die: {in_session(session)}")
