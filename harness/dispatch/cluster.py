"""The Ray cluster that a run works on: joining one or starting one here, what its nodes have, and
whether its head still answers."""

import os
import socket
import time
from collections.abc import Collection
from typing import Any, NamedTuple

import ray

from harness.dispatch import ray_internals
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
"""How long to wait for the head to accept one connection."""

HEAD_GONE_S = 30.0
"""How long a cluster's head may be silent. A fault-tolerant head comes back; Ray ends this process
after 60 s."""

ROUNDING = 1e-6
"""Shares of GPUs are added up as floats. A difference of this size is no shortage."""

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
        with ray_internals.only_on_loopback():
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                **QUIET,
            )
    except Exception as e:  # Ray raises plain Exception
        raise UserError(
            "Ray did not start on this machine; try again when it is less busy"
            f" ({first_line(e)[:200]})"
        ) from None


def _join(address: str | None) -> None:
    try:
        if address is not None and address != "auto":
            # Ray itself would knock at a closed door for many minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=KNOCK_S).close()
        ray.init(address=address, **QUIET)
    except (OSError, ValueError, RuntimeError, OverflowError) as e:
        hint = "; if it asks for a token, set RAY_AUTH_MODE=token (clusters/README.md)"
        if os.environ.get("RAY_AUTH_MODE") == "token":
            hint = ""
        raise UserError(
            f"--address {address}: no Ray cluster answers there ({first_line(e)[:200]}){hint}"
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


class Head:
    """The head of the cluster that this process has joined, and whether it still answers.

    Ray itself would end this process, with a message of its own, a minute after losing the head.
    """

    def __init__(self, address: str | None):
        self.address = None if address is None else ray.get_runtime_context().gcs_address
        """HOST:PORT; None if Ray was started by this run, on this machine."""
        self.is_alive = True
        self._answered_at = time.monotonic()

    @property
    def is_remote(self) -> bool:
        """Whether somebody else started the cluster."""
        return self.address is not None

    def answers(self) -> bool:
        """Return whether the head answers. Ask before any other question to Ray, which would wait
        for a dead head without end.

        Raises UserError when the head has been silent for HEAD_GONE_S.
        """
        if self.address is None:
            return True

        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=HEAD_ANSWERS_S).close()
        except OSError:
            if time.monotonic() - self._answered_at > HEAD_GONE_S:
                raise UserError(
                    f"the cluster's head at {self.address} has died; finished trials are in the"
                    " store; once there is a cluster again, run the same command again to continue"
                ) from None
            return False

        self._answered_at = time.monotonic()
        return True

    def leaving_nodes(self) -> Collection[str]:
        """Return the ids of the nodes that have notice that they will be taken away."""
        if self.is_remote and self.answers():
            return ray_internals.leaving_nodes()
        return ()
