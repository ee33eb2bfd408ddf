"""A Ray cluster of several nodes on this machine, each a real `ray start` that can be lost like a
machine.

    with nodes(3) as cluster:
        command = [UNILAW, "run", "a.yaml", "--address", cluster.address]
        subprocess.run(command, env=cluster.environment)

A node is known by the session that its `ray start` leads: all of the node's processes are in that
session, and nothing else is.
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
"""How long to wait for a node. It is up in 5 s, or in 30 s on a busy machine."""

HEALTH_CHECKS = {"RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "1000"}
"""How often a head checks its nodes. With Ray's own periods, it would notice the loss of a node
after half a minute."""

TRIES = 3
"""How often a node is started: on a swamped machine, Ray gives up waiting for its own processes."""

OBJECT_STORE_BYTES = 80_000_000
"""The size of a node's object store, about the smallest that Ray allows."""


class Node(NamedTuple):
    """A running node."""

    process: subprocess.Popen[bytes]
    id: str
    """Ray's id of the node, in hexadecimal."""
    log: Path

    @property
    def session(self) -> int:
        """The session of all its processes; also the process id of its `ray start`."""
        return self.process.pid


class Nodes:
    """A cluster whose nodes come and go."""

    def __init__(self, cpus: int, folder: Path, environment: dict[str, str] | None):
        self.cpus = cpus
        self.folder = folder
        self.port = free_port()
        self.environment = {
            **(environment or os.environ),
            **HEALTH_CHECKS,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        """Of every process that talks to the cluster, the token included."""
        self.head: Node | None = None
        self.workers: list[Node] = []
        self._started: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start_head(self) -> Node:
        """Start a head at the cluster's address. A new head knows nothing of a dead one's nodes.

        Raises RuntimeError when the head does not come up.
        """
        self.head = self._start(
            "--head",
            f"--port={self.port}",
            "--include-dashboard=false",
            f"--temp-dir={self.folder}",
        )
        return self.head

    def add(self) -> Node:
        """Start one more node, and return when it has joined. Raises RuntimeError when it does not
        come up."""
        node = self._start(f"--address={self.address}")
        self.workers.append(node)
        return node

    def kill(self, node: Node) -> None:
        """Lose the node as one loses a machine: all of its processes at once, without notice to
        anybody."""
        end(node.session)
        node.process.wait()
        if node is self.head:
            self.head = None
        else:
            self.workers.remove(node)

    def give_notice(self, node: Node, seconds: int) -> None:
        """Announce that the node will be taken away in this many seconds, as a cloud's spot notice
        does. The node gets no new work."""
        command = [
            RAY,
            "drain-node",
            f"--address={self.address}",
            f"--node-id={node.id}",
            "--reason=DRAIN_NODE_REASON_PREEMPTION",
            "--reason-message=spot notice",
            f"--deadline-remaining-seconds={seconds}",
        ]
        subprocess.run(
            command, env=self.environment, check=True, capture_output=True, timeout=START_S
        )

    def end(self) -> None:
        """Kill every node, whether it is still there or not."""
        for process in self._started:
            end(process.pid)
            process.wait()

    def _start(self, *options: str) -> Node:
        log = ""
        for _ in range(TRIES):
            node = self._try_to_start(*options)
            deadline = time.monotonic() + START_S
            while node.process.poll() is None and time.monotonic() < deadline:
                if "Ray runtime started" in node.log.read_text():
                    return node
                time.sleep(0.1)
            log = node.log.read_text()
            end(node.session)
        raise RuntimeError(f"a Ray node did not start: {log}")

    def _try_to_start(self, *options: str) -> Node:
        node_id = secrets.token_hex(28)
        log = self.folder / f"start-{len(self._started)}.log"
        size = [f"--num-cpus={self.cpus}", f"--object-store-memory={OBJECT_STORE_BYTES}"]
        ports = ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [RAY, "start", "--block", *options, *size, *ports],
                env={**self.environment, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": node_id},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return Node(process, node_id, log)


@contextlib.contextmanager
def nodes(n: int, cpus: int = 1, environment: dict[str, str] | None = None) -> Iterator[Nodes]:
    """Run a cluster of n nodes, one of them the head, each with this many CPUs, with token
    authentication. Ends what it started."""
    # a short path: that of a socket below it may have 107 characters
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
    """Return a port of this machine's loopback that nothing listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def in_session(session: int) -> dict[int, str]:
    """Return the command line of each process of a session, by process id. A run's session holds
    the command, Ray, and Ray's workers. Zombies do not count."""
    command_lines = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError):  # it ended while we looked
            # after the command's name, in parentheses: state, parent, process group, session, …
            _, _, fields = (entry / "stat").read_text().rpartition(")")
            state, _, _, its_session, *_ = fields.split()
            if state != "Z" and int(its_session) == session:
                command_line = (entry / "cmdline").read_text()
                command_lines[int(entry.name)] = command_line.replace("\0", " ")
    return command_lines


def busy(*sessions: int) -> list[int]:
    """Return the process ids of the workers that are at a batch now. Ray names a worker's process
    after what the worker runs."""
    return [
        pid
        for session in sessions
        for pid, command in in_session(session).items()
        if command.startswith("ray::Worker.work")
    ]


def kill(pid: int) -> None:
    """Send SIGKILL to the process, unless it is gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def end(session: int) -> None:
    """Kill every process of a session. The leader goes first, so that it cannot record the deaths
    of the others.

    Raises RuntimeError when processes of the session do not die.
    """
    for _ in range(200):
        for pid in sorted(in_session(session), key=lambda pid: pid != session):
            kill(pid)
        if not in_session(session).keys() - {session}:  # the leader itself waits to be reaped
            return
        time.sleep(0.05)
    raise RuntimeError(f"processes of session {session} do not die: {in_session(session)}")
