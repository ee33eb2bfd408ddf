"""Batches on Ray: warm workers, bounded work in flight, every loss named.

Nothing here decides what to run or what to do about a failure; `harness/run.py` does, by what it
puts into the queue. A batch goes to an actor that has what the batch takes, and keeps it for the
batches after. One with several GPUs goes to `harness/dispatch/multi_gpu.py`.
"""

import atexit
import contextlib
import itertools
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no network request of Ray's own
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# why a worker died takes more than its 1 s on a busy machine
os.environ.setdefault("RAY_timeout_ms_task_wait_for_death_info", "10000")

import ray
from ray import cloudpickle
from ray import exceptions as lost
from ray._private import ray_constants
from ray._private.state import state as ray_state

import harness
from harness.dispatch import multi_gpu, worker
from harness.errors import SHARED_KINDS, UserError
from harness.execution.failures import text
from harness.execution.limits import HARD_KILL_GRACE_S
from harness.execution.trial_result import TrialResult
from harness.store.schema import MEASURES_VERSION
from harness.sweeps.gpu_shares import SMALLEST
from harness.sweeps.sweep import Resources
from harness.sweeps.trial import Batch, RunSettings

OBJECT_STORE_BYTES = 256 * 2**20
"""Plenty: only configurations and rows travel. Ray's default would take 30 % of the machine's
memory."""

KNOCK_S = 20.0
"""How long to wait for anything at all to answer at a cluster's address."""

HEAD_GONE_S = 30.0
"""How long a cluster's head may be silent: a fault-tolerant one comes back, and Ray ends this
process after 60 s."""

ALIKE = 1000
"""How far ahead the queue is searched for batches that take the same."""

ALIVE = 2
"""ray.core.generated.gcs_pb2.ActorTableData.ALIVE, which type checkers cannot see."""

FAILED_STARTS = 10
"""So many actors in a row may end before they have begun."""

HOME = str(Path(harness.__file__).resolve().parent.parent)


class ResourceRequest(NamedTuple):
    """CPUs, GPUs and bytes of reserved memory: what a batch takes, or what a cluster has."""

    cpus: float
    gpus: float
    memory: float

    def times(self, have: "ResourceRequest") -> int:
        """How often it fits into what there is; below 0 where there is less than nothing left."""
        return int(
            min((there + 1e-6) // each for each, there in zip(self, have, strict=True) if each)
        )

    def without(self, taken: "ResourceRequest") -> "ResourceRequest":
        return ResourceRequest(*(there - gone for there, gone in zip(self, taken, strict=True)))


class _Actor(NamedTuple):
    handle: Any
    need: ResourceRequest
    node: str = ""
    """Where it is, once it has begun."""


class RunningBatch(NamedTuple):
    """A batch at work, and since when on this process's clock."""

    batch: Batch
    need: ResourceRequest
    actor: _Actor | None
    began: float
    overdue: bool = False
    """Whether its actor was ended because the batch did not answer its limit."""


def on_ray(
    queue: deque[Batch], address: str | None, resources: Resources, given: RunSettings
) -> Iterator[tuple[Batch, list[TrialResult]]]:
    """Run the queue's batches and yield each with its columns as it ends, in order of ending.

    The caller may append to the queue between results. `address` is a running cluster's ("auto" or
    HOST:PORT); None starts Ray on this machine for the duration, unless this process has one
    already. A batch whose worker died yields failure columns. Closing the generator cancels what is
    in flight.

    Raises UserError when there is no cluster at the address, when it has no room for a single
    trial, and when its head has died.
    """
    ours = connect(address, resources, max((batch.gpus for batch in queue), default=0.0))
    cloudpickle.register_pickle_by_value(worker)
    crew = WorkerPool(address, resources, given)
    try:
        while queue or crew.flights:
            if crew.head.answers():
                crew.end_overdue()
                crew.take(queue)
            yield from crew.ended()
    except UserError:
        if address is not None:  # whoever asks a dead head waits for ever
            crew.forget()
            atexit.register(_leave)
        raise
    finally:
        crew.dismiss()
        if ours and crew.head.alive:
            ray.shutdown()


def _leave() -> None:
    """End this process as `main` would after a UserError, but at once: Ray waits for its head on
    the way out, or crashes."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(2)


class WorkerPool:
    """What is at work for a run: actors, and trials over several GPUs."""

    def __init__(self, address: str | None, resources: Resources, given: RunSettings):
        self.head = _Head(address)
        self.resources, self.given = resources, given
        self.worker = ray.remote(worker.Worker)
        self.ahead = 1 if address is None else 2
        """How often what there is room for may be with Ray: an autoscaler adds nodes for what
        waits there."""
        self.nodes = _nodes()
        self.flights: dict[ray.ObjectRef, RunningBatch] = {}
        self.starting: dict[ray.ObjectRef, _Actor] = {}
        self.idle: list[_Actor] = []
        self.failed_starts = 0

    def end_overdue(self) -> None:
        """End the actors whose batches do not answer their limit: no signal reaches what is
        stuck outside Python."""
        limit = self.given.seconds + HARD_KILL_GRACE_S
        late = [
            ref
            for ref, flight in self.flights.items()
            if flight.actor and time.monotonic() - flight.began > limit
        ]
        for ref in ray.wait(late, num_returns=len(late), timeout=0)[1] if late else ():
            flight = self.flights[ref]
            if flight.actor and not flight.overdue:
                ray.kill(flight.actor.handle)
                self.flights[ref] = flight._replace(overdue=True)

    def take(self, queue: deque[Batch]) -> None:
        """Give Ray what there is room for now, in the queue's order: as nothing overtakes what
        waits for room, nothing waits for ever.

        Only what is larger than what there is at all, as after the loss of a node, is passed over
        while there is something else.
        """
        if queue:
            self._look()
        while queue:
            chosen = next(
                (i for i, batch in enumerate(queue) if _fits(self._need(batch), self.nodes)), None
            )
            if chosen is None and self.flights:
                break
            if not self._started(queue, chosen or 0):
                break
            del queue[chosen or 0]
        self._end(list(self.starting.values())[len(queue) :])
        if not queue and self.head.at is not None:
            self._end(self.idle)  # so that a cluster can give their nodes back

    def _look(self) -> None:
        """What has changed by itself: nodes come and go, and so do workers that wait."""
        leaving = self.head.leaving()
        self.nodes = _nodes(leaving)
        self._end(
            [a for a in self.idle if a.node in leaving or a.handle._get_local_state() != ALIVE]
        )

    def _started(self, queue: deque[Batch], at: int) -> bool:
        """Whether there was room for the batch; if not, some is made."""
        batch = queue[at]
        need, given = self._need(batch), tuple(self.given._replace(gpus=batch.gpus))
        if batch.gpus <= 1:
            actor = next((actor for actor in self.idle if actor.need == need), None)
            if actor is None:
                self.start_workers(need, itertools.islice(queue, at, at + ALIKE))
                return False
            self.idle.remove(actor)
            ref = actor.handle.work.remote(_plain(batch), given)
        else:
            actor = None
            self._end([*self.idle, *self.starting.values()])
            if self.flights and need.times(self._left(1)) < 1:
                return False

            ref = multi_gpu.submit(HOME, _plain(batch), given, processes=int(batch.gpus))
        self.flights[ref] = RunningBatch(batch, need, actor, time.monotonic())
        return True

    def start_workers(self, need: ResourceRequest, ahead: Iterable[Batch]) -> None:
        """Start as many actors as there is room and work for; those that take something else
        give way once they are idle."""
        self._end([actor for actor in [*self.idle, *self.starting.values()] if actor.need != need])
        room = need.times(self._left(self.ahead))
        if not self.flights and not self.starting:
            room = max(1, room)
        if room < 1:
            return
        options: dict[str, Any] = {
            "num_cpus": need.cpus,
            "num_gpus": need.gpus,
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        if need.memory:
            options["memory"] = int(need.memory)
        alike = sum(self._need(batch) == need for batch in ahead)
        for _ in range(min(room, alike - len(self.starting))):
            actor = _Actor(self.worker.options(**options).remote(), need)
            self.starting[actor.handle.node.remote(HOME)] = actor

    def ended(self) -> Iterator[tuple[Batch, list[TrialResult]]]:
        """Wait a second at most for something to end, and give what did."""
        waiting = [*self.flights, *self.starting]
        if not waiting:
            time.sleep(1.0)
            return
        done, _ = ray.wait(waiting, num_returns=1, timeout=1.0)
        for ref in done:
            if ref in self.starting:
                self.on_started(ref)
            else:
                yield self.on_finished(ref)

    def on_started(self, ref: ray.ObjectRef) -> None:
        actor = self.starting.pop(ref)
        try:
            node = ray.get(ref)
        except lost.RayError as e:
            self.failed_starts += not (
                _with_its_node(e) or (self.flights and isinstance(e, lost.OutOfMemoryError))
            )
            if self.failed_starts >= FAILED_STARTS:
                words = _last_line if isinstance(e, lost.RayTaskError) else _first_line
                raise UserError(
                    f"the cluster's workers end before they have begun: {words(e)}"
                ) from None
            return
        self.failed_starts = 0
        self.idle.append(actor._replace(node=node))

    def on_finished(self, ref: ray.ObjectRef) -> tuple[Batch, list[TrialResult]]:
        flight = self.flights.pop(ref)

        def leaves() -> bool:
            leaving = self.head.leaving()
            return flight.actor.node in leaving if flight.actor else bool(leaving)

        may_leave = leaves if self.head.at is not None else None
        columns = _result(
            ref,
            flight.batch,
            time.monotonic() - flight.began,
            self.given.seconds if flight.overdue else None,
            may_leave,
        )
        if flight.actor:
            self.idle.append(flight.actor)
            # whatever it holds is not to be trusted
            if any(result.failure_kind in SHARED_KINDS for result in columns):
                self._end([flight.actor])
        if flight.batch.gpus > 1 and not any(
            other.batch.gpus > 1 for other in self.flights.values()
        ):
            multi_gpu.reclaim()
        return flight.batch, columns

    def _need(self, batch: Batch) -> ResourceRequest:
        return _need(self.resources, batch.gpus, batch.memory_gb)

    def _left(self, times: int) -> ResourceRequest:
        """What nothing of ours has taken or waits for, of so many times what there is."""
        left = ResourceRequest(*(times * there for there in _sum(self.nodes)))
        for taken in [*self.flights.values(), *self.starting.values(), *self.idle]:
            left = left.without(taken.need)
        return left

    def _end(self, actors: Iterable[_Actor]) -> None:
        for actor in list(actors):
            ray.kill(actor.handle)
            self.idle = [a for a in self.idle if a is not actor]
            self.starting = {ref: a for ref, a in self.starting.items() if a is not actor}

    def dismiss(self) -> None:
        """End all of it."""
        self._end(
            [
                *self.idle,
                *self.starting.values(),
                *(f.actor for f in self.flights.values() if f.actor),
            ]
        )
        for ref, flight in self.flights.items():
            if not flight.actor:
                ray.cancel(ref, force=True)

    def forget(self) -> None:
        """Leave all of it to itself."""
        self.flights, self.starting, self.idle = {}, {}, []
        self.head.alive = False


class _Head:
    """Whether a cluster's head lives. Ray itself would end this process, in words of its own, a
    minute after losing it."""

    def __init__(self, address: str | None):
        self.at = None if address is None else ray.get_runtime_context().gcs_address
        self.alive, self.heard = True, time.monotonic()

    def answers(self) -> bool:
        """To be asked before anything else is asked of it. Raises UserError when it has not
        answered for HEAD_GONE_S."""
        if self.at is None:
            return True
        host, _, port = self.at.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=2.0).close()
        except OSError:
            if time.monotonic() - self.heard > HEAD_GONE_S:
                raise UserError(
                    f"the cluster's head at {self.at} has died; finished trials are in the store,"
                    " and the same command goes on once there is a cluster again"
                ) from None
            return False
        self.heard = time.monotonic()
        return True

    def leaving(self) -> Collection[str]:
        """The nodes that have notice that they will be taken away."""
        return ray_state.get_draining_nodes() if self.at is not None and self.answers() else ()


def connect(address: str | None, resources: Resources, gpus: float | None = None) -> bool:
    """Join the cluster at `address`, or start Ray on this machine; gives whether it did, or found
    that done already.

    `gpus` is the most that a trial will be given; None: the sweep's number, or the smallest share.
    Raises UserError when no cluster answers, or when it has no room for a single trial.
    """
    ours = not ray.is_initialized()
    if ours:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if address is None:
            try:
                with _on_loopback():
                    ray.init(
                        address="local",
                        include_dashboard=False,
                        object_store_memory=OBJECT_STORE_BYTES,
                        **quiet,
                    )
            except Exception as e:  # Ray raises just that
                raise UserError(
                    "Ray did not start on this machine; try again when it is less busy"
                    f" ({_first_line(e)[:200]})"
                ) from None
        else:
            _join(address, quiet)
    if gpus is None:
        gpus = SMALLEST if resources.gpus == "auto" else resources.gpus
    need, nodes = _need(resources, gpus, None), _nodes()
    if not _fits(need, nodes):
        has = (
            "the cluster has {:g}, {:g} and {:.0f}"
            if need.times(_sum(nodes)) < 1
            else "no node has that, only all together: {:g}, {:g} and {:.0f}"
        )
        have = _sum(nodes)
        raise UserError(
            f"one trial needs {need.cpus:g} CPUs, {gpus:g} GPUs and {need.memory / 1e9:g} GB, and"
            f" {has.format(have.cpus, have.gpus, have.memory / 1e9)}; change resources in the sweep"
            " file"
        )
    return ours


@contextlib.contextmanager
def _on_loopback() -> Iterator[None]:
    """Whatever Ray starts meanwhile listens on this machine's loopback alone, as it does by itself
    on macOS and Windows.

    On Linux it would listen on every interface, the server of jobs on each node included, and it
    takes no address of loopback.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _join(address: str, quiet: dict[str, Any]) -> None:
    try:
        if address != "auto":  # Ray itself would knock at a closed door for many minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=KNOCK_S).close()
        ray.init(address=address, **quiet)
    except (OSError, ValueError, RuntimeError, OverflowError) as e:
        token = os.environ.get("RAY_AUTH_MODE") == "token"
        hint = (
            ""
            if token
            else "; if it asks for a token, set RAY_AUTH_MODE=token (clusters/README.md)"
        )
        raise UserError(
            f"--address {address}: no Ray cluster answers there ({_first_line(e)[:200]}){hint}"
        ) from None


def _nodes(leaving: Collection[str] = ()) -> list[ResourceRequest]:
    """What each node of the cluster has now, taken or not; without those that are about to
    leave."""
    stay = [
        node["Resources"] for node in ray.nodes() if node["Alive"] and node["NodeID"] not in leaving
    ]
    return [
        ResourceRequest(has.get("CPU", 0), has.get("GPU", 0), has.get("memory", 0)) for has in stay
    ]


def _sum(nodes: list[ResourceRequest]) -> ResourceRequest:
    return (
        ResourceRequest(*(sum(each) for each in zip(*nodes, strict=True)))
        if nodes
        else ResourceRequest(0, 0, 0)
    )


def _fits(need: ResourceRequest, nodes: list[ResourceRequest]) -> bool:
    """Whether the empty cluster has room: over several GPUs on all nodes together, else on one
    of them."""
    return (
        need.times(_sum(nodes)) >= 1
        if need.gpus > 1
        else any(need.times(node) >= 1 for node in nodes)
    )


def _need(resources: Resources, gpus: float, memory_gb: float | None) -> ResourceRequest:
    """What a trial takes with so many GPUs, and with the sweep's reservation of memory if None
    is given: over several GPUs, so many processes with CPUs each, and none of the latter."""
    memory = 1e9 * (memory_gb or resources.memory_gb or 0)
    return ResourceRequest(resources.cpus * max(1, int(gpus)), gpus, memory if gpus <= 1 else 0)


def max_gpus_and_memory(cpus: int) -> tuple[int, float]:
    """What a single trial may grow to: the cluster's GPUs, and the memory in GB of its largest
    node with so many CPUs."""
    nodes = _nodes()
    return (
        int(_sum(nodes).gpus),
        max((node.memory for node in nodes if node.cpus >= cpus), default=0) / 1e9,
    )


def _plain(batch: Batch) -> list[list[dict[str, Any]]]:
    return [
        [
            {"trial_id": t.trial_id, "ref": tuple(t.ref), "config": t.config, "seed": t.seed}
            for t in stack
        ]
        for stack in batch.stacks
    ]


def _result(
    ref: ray.ObjectRef,
    batch: Batch,
    waited: float,
    overdue: float | None,
    leaves: Callable[[], bool] | None,
) -> list[TrialResult]:
    """The batch's columns, or the reason why there are none as failure columns for each of its
    trials.

    `overdue` is the limit in seconds that it lost its process for, if it did. `leaves` tells
    whether its node has notice that it will be taken away: its processes may die before it does.
    None where there is but this machine.
    """
    try:
        return [TrialResult(*values) for values in ray.get(ref)]
    except lost.OutOfMemoryError as e:
        kind, message = (
            "oom",
            f"Ray ended the worker because the node ran out of memory: {_first_line(e)}",
        )
    except (lost.NodeDiedError, lost.ObjectLostError) as e:
        # the second: after the batch, before its columns came back
        kind, message = "preempted", f"the node died: {_first_line(e)}"
    except (lost.WorkerCrashedError, lost.ActorDiedError, lost.ActorUnavailableError) as e:
        if leaves and _with_its_node(e):
            kind, message = "preempted", f"the node died or cannot be reached: {_last_line(e)}"
        elif overdue is not None:
            kind, message = (
                "timeout",
                f"did not answer its limit of {overdue:g} s and lost its process",
            )
        elif leaves and leaves():
            kind, message = (
                "preempted",
                (
                    "the worker process died, and its node is about to be taken away:"
                    f" {_first_line(e)}"
                ),
            )
        else:
            kind, message = "crash", f"the worker process died: {_first_line(e)}"
    except lost.RayTaskError as e:
        kind, message = "bug", f"the worker could not run the batch: {_last_line(e)}"
    except lost.LocalRayletDiedError:
        raise UserError(
            "this machine's Ray died; finished trials are in the store, so run the same command"
            " again"
        ) from None
    except lost.RayError as e:
        kind, message = (
            "crash",
            f"Ray could not run the batch: {type(e).__name__}: {_first_line(e)}",
        )
    columns = {
        "status": "failed",
        "failure_kind": kind,
        "failure_message": text(message)[:2000],
        "wall_s": waited,
        "gpus": batch.gpus,
        "measures_version": MEASURES_VERSION,
        "ray_version": ray.__version__,
    }
    return [TrialResult(columns) for _ in batch.trials]


def _with_its_node(e: lost.RayError) -> bool:
    """Whether an actor's end is its node's. One that vanishes without a word leaves an
    ActorUnavailableError."""
    if isinstance(e, lost.ActorDiedError):
        return e.preempted or "its node has died" in str(e)
    return isinstance(e, lost.ActorUnavailableError)


def _last_line(e: Exception) -> str:
    return (str(e).strip() or type(e).__name__).splitlines()[-1].strip()


def _first_line(e: Exception) -> str:
    return (str(e).strip() or type(e).__name__).splitlines()[0]
