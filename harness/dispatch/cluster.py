"""The Ray cluster that a run works on: joining one or starting one here, what its nodes have, and
whether its head still answers."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Collection
from typing import Any, NamedTuple

import ray

from harness.dispatch import ray_internals
from harness.dispatch.addresses import shown, without_credentials
from harness.dispatch.error_lines import first_line
from harness.errors import UserError
from harness.sweeps.gpu_shares import SMALLEST
from harness.sweeps.sweep import Resources

OBJECT_STORE_BYTES = 256 * 2**20
"""The size of Ray's object store on this machine. Only configurations and rows travel through it;
Ray's default would take 30 % of the machine's memory."""

KNOCK_S = 20.0
"""How long to wait for any answer at a cluster's address."""

HEAD_ANSWERS_S = 2.0
"""How long to wait for the head to accept one connection, or to answer one question, before
something else is done."""

HEAD_GONE_S = 30.0
"""How long a head may be silent. A fault-tolerant head comes back. Ray ends this process 60 s after
the head has died, and never if the head was only stopped."""

ROUNDING = 1e-6
"""Shares of GPUs are added up as floats. A difference of this size is no shortage."""

NO_HOME = "Could not determine home directory"
"""What Python says where neither HOME nor the system's list of users names a home."""

QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
"""Arguments of ray.init that keep Ray's own messages out of a run's."""


class ResourceRequest(NamedTuple):
    """CPUs, GPUs and bytes of reserved memory: what a batch takes, or what nodes have."""

    cpus: float
    gpus: float
    memory: float

    def times(self, available: "ResourceRequest") -> int:
        """Return how many such requests fit into what is available; below 0 if more than all of it
        is taken already."""
        fits = [
            (has + ROUNDING) // needs for needs, has in zip(self, available, strict=True) if needs
        ]
        return int(min(fits))

    def plus(self, other: "ResourceRequest") -> "ResourceRequest":
        """Return the sum of both."""
        return ResourceRequest(*(a + b for a, b in zip(self, other, strict=True)))

    def without(self, taken: "ResourceRequest") -> "ResourceRequest":
        """Return what is left once `taken` is taken."""
        return ResourceRequest(*(has - gone for has, gone in zip(self, taken, strict=True)))


NOTHING = ResourceRequest(0, 0, 0)


def request_of(resources: Resources, gpus: float, memory_gb: float | None) -> ResourceRequest:
    """Return what a trial takes with `gpus` GPUs and `memory_gb` of reserved memory, or the sweep's
    reservation if None.

    A trial over several GPUs takes the sweep's CPUs once for each of its processes, and reserves no
    memory.
    """
    processes = max(1, int(gpus))
    memory = 1e9 * (memory_gb or resources.memory_gb or 0) if gpus <= 1 else 0

    return ResourceRequest(resources.cpus * processes, gpus, memory)


def node_resources(leaving: Collection[str] = ()) -> list[ResourceRequest]:
    """Return the resources of each live node, taken or not, except for the nodes whose ids are in
    `leaving`."""
    staying = [node for node in ray.nodes() if node["Alive"] and node["NodeID"] not in leaving]
    resources = [node["Resources"] for node in staying]

    return [
        ResourceRequest(has.get("CPU", 0), has.get("GPU", 0), has.get("memory", 0))
        for has in resources
    ]


def total(nodes: list[ResourceRequest]) -> ResourceRequest:
    """Return what all the nodes have together."""
    everything = NOTHING
    for node in nodes:
        everything = everything.plus(node)
    return everything


def fits(need: ResourceRequest, nodes: list[ResourceRequest]) -> bool:
    """Return whether the cluster, if it were empty, has room for one request: over several GPUs on
    all nodes together, else on a single node."""
    if need.gpus > 1:
        return need.times(total(nodes)) >= 1
    return any(need.times(node) >= 1 for node in nodes)


def max_gpus_and_memory(cpus: int) -> tuple[int, float]:
    """Return the most that a single trial may grow to: the number of the cluster's GPUs, and the
    memory in GB of its largest node with at least `cpus` CPUs."""
    nodes = node_resources()
    memory = max((node.memory for node in nodes if node.cpus >= cpus), default=0)

    return int(total(nodes).gpus), memory / 1e9


def connect(address: str | None, resources: Resources, gpus: float | None = None) -> bool:
    """Join the cluster at `address`, or start Ray on this machine if that is None. Return whether
    this call did so; False if this process had a Ray already.

    `gpus` is the most that any trial will be given. None stands for the sweep's number, or the
    smallest share if the sweep leaves the number open.

    Raises UserError when no cluster answers, or when the cluster has no room for a single trial.
    """
    ours = not ray.is_initialized()
    if ours and address is None:
        _start_here()
    elif ours:
        _join(address)

    if gpus is None:
        gpus = SMALLEST if resources.gpus == "auto" else resources.gpus
    _refuse_without_room(request_of(resources, gpus, None), node_resources())

    return ours


def _start_here() -> None:
    try:
        with ray_internals.only_on_loopback(), ray_internals.own_sigterm_handler():
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                job_config=ray_internals.job_without_drivers_folders(),
                **QUIET,
            )
    except Exception as e:  # Ray raises plain Exception
        raise UserError(f"Ray did not start on this machine: {_why_not_started(e)}") from None


def _why_not_started(e: Exception) -> str:
    """Return why Ray did not start, and what the user can do."""
    if isinstance(e, OSError) and e.filename:
        return (
            f"{e.filename}: {e.strerror}; set RAY_TMPDIR to a folder that can be written, for Ray's"
            " temporary files, with a short path"
        )
    if NO_HOME in str(e):
        return "this user has no home folder; set HOME to a folder that can be written"
    if ray_internals.socket_path_is_too_long(e):
        return (
            "the path of the folder for its temporary files is too long for a socket; set"
            " RAY_TMPDIR to a shorter one, of at most 36 characters"
        )
    return f"{first_line(e)[:200].rstrip('.')}; try again when it is less busy"


def _join(address: str | None) -> None:
    if address is not None and shown(address) != address:
        raise UserError(
            f"--address {shown(address)}: must be auto or HOST:PORT of a running cluster; a token"
            " belongs in the environment (clusters/README.md)"
        )
    try:
        if address is not None and address != "auto":
            # Ray itself would knock at a closed door for many minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=KNOCK_S).close()
        job_config = ray_internals.job_without_drivers_folders()
        with ray_internals.own_sigterm_handler():
            ray.init(address=address, job_config=job_config, **QUIET)
    except (OSError, ValueError, RuntimeError, OverflowError) as e:
        hint = "; if it asks for a token, set RAY_AUTH_MODE=token (clusters/README.md)"
        if os.environ.get("RAY_AUTH_MODE") == "token":
            hint = ""
        raise UserError(
            f"--address {address}: no Ray cluster answers there"
            f" ({without_credentials(first_line(e))[:200]}){hint}"
        ) from None


def _refuse_without_room(need: ResourceRequest, nodes: list[ResourceRequest]) -> None:
    if fits(need, nodes):
        return

    everything = total(nodes)
    if need.times(everything) < 1:
        has = "the cluster has"
    else:
        has = "no single node has that; all nodes together have"
    raise UserError(
        f"one trial needs {need.cpus:g} CPUs, {need.gpus:g} GPUs and {need.memory / 1e9:g} GB, and"
        f" {has} {everything.cpus:g}, {everything.gpus:g} and {everything.memory / 1e9:.0f}; change"
        " resources in the sweep file"
    )


class HeadIsDead(UserError):
    """Ray's head has been silent for HEAD_GONE_S. Whoever asks it anything may wait for ever."""


class _Question:
    """What the head is asked in a thread of its own, which a dead head holds for ever."""

    def __init__(self, with_leaving: bool):
        self.with_leaving = with_leaving
        self.leaving: Collection[str] = ()
        self.nodes: list[ResourceRequest] = []
        self.is_answered = False
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def _ask(self) -> None:
        with contextlib.suppress(Exception):  # an error is no answer; the next question tells
            if self.with_leaving:
                self.leaving = ray_internals.leaving_nodes()
            self.nodes = node_resources(self.leaving)
            self.is_answered = True


class Head:
    """The head of the cluster that this process has joined or started, and whether it answers.

    Ray itself would end this process, with a message of its own, a minute after losing the head. It
    would wait without end for a head that was stopped.
    """

    def __init__(self, address: str | None):
        self.address = None if address is None else ray.get_runtime_context().gcs_address
        """HOST:PORT; None if Ray was started by this run, on this machine."""
        self.is_alive = True
        self.nodes = node_resources()
        """Resources of live nodes that are not leaving, as the head last answered."""
        self.leaving: Collection[str] = ()
        """The ids of the nodes that have notice that they will be taken away, then."""
        self._answered_at = time.monotonic()
        self._question: _Question | None = None

    @property
    def is_remote(self) -> bool:
        """Whether somebody else started the cluster."""
        return self.address is not None

    def answers(self) -> bool:
        """Return whether the head answers, with fresh `nodes` and `leaving`. Ask before any other
        question to Ray, which would wait for a dead head without end.

        Raises HeadIsDead when the head has been silent for HEAD_GONE_S.
        """
        if self._accepts_connections() and self._answer():
            self._answered_at = time.monotonic()
            return True

        if time.monotonic() - self._answered_at > HEAD_GONE_S:
            if self.is_remote:
                raise HeadIsDead(
                    f"the cluster's head at {self.address} has died; finished trials are in the"
                    " store; once there is a cluster again, run the same command again to continue"
                )
            raise HeadIsDead(
                f"this machine's Ray has not answered for {HEAD_GONE_S:.0f} s; finished trials are"
                " in the store, so run the same command again"
            )
        return False

    def _accepts_connections(self) -> bool:
        if self.address is None:
            return True
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=HEAD_ANSWERS_S).close()
        except OSError:
            return False
        return True

    def _answer(self) -> bool:
        """Wait up to HEAD_ANSWERS_S for the answer to the open question, or to a new one."""
        question = self._question or _Question(with_leaving=self.is_remote)
        question.thread.join(HEAD_ANSWERS_S)
        self._question = question if question.thread.is_alive() else None
        if not question.is_answered:
            return False

        self.nodes = question.nodes
        self.leaving = question.leaving
        return True
