"""The worker processes of a run: warm actors, and trials over several GPUs.

A batch goes to an actor that already holds what the batch takes of CPUs, GPUs and memory, and the
actor keeps it for the batches after. A batch over several GPUs goes to
`harness/dispatch/multi_gpu.py`. No more is handed to Ray than the cluster has room for.
"""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import ray
from ray import cloudpickle
from ray import exceptions as lost

from harness import HOME
from harness.dispatch import losses, multi_gpu, ray_internals, worker
from harness.dispatch.actor import Actor, kill, let_save
from harness.dispatch.cluster import (
    Head,
    ResourceRequest,
    fits,
    request_of,
    total,
)
from harness.dispatch.error_lines import first_line, last_line
from harness.errors import SHARED_KINDS, UserError
from harness.execution.limits import HARD_KILL_GRACE_S
from harness.execution.trial_result import TrialResult
from harness.interruption import undivided
from harness.sweeps.sweep import Resources
from harness.sweeps.trial import Batch, RunSettings

LOOKAHEAD = 1000
"""How many batches of the queue are counted to decide how many actors to start."""

FAILED_STARTS = 10
"""After this many actors in a row that exit during start-up, the run ends."""

FINISHED_WAIT_S = 1.0
"""How long to wait for something to finish before the cluster is looked at again."""


class RunningBatch(NamedTuple):
    """A batch at work."""

    batch: Batch
    need: ResourceRequest
    actor: Actor | None
    """None for a batch over several GPUs, which has processes of its own."""
    began: float
    """On this process's monotonic clock, in seconds."""
    overdue: bool = False
    """Whether its actor was killed because the batch did not stop at its time limit."""


class WorkerPool:
    """The actors and the batches at work of one run."""

    def __init__(
        self,
        address: str | None,
        resources: Resources,
        settings: RunSettings,
        begun: Callable[[Batch], None] = lambda _: None,
    ):
        cloudpickle.register_pickle_by_value(worker)
        self.head = Head(address)
        self.resources = resources
        self.settings = settings
        self.begun = begun
        self.actor_class = ray.remote(worker.Worker)
        self.queue_ahead = 1 if address is None else 2
        """Queue up to this multiple of the cluster's capacity, so that an autoscaler sees the
        demand."""
        self.running: dict[ray.ObjectRef, RunningBatch] = {}
        self.starting: dict[ray.ObjectRef, Actor] = {}
        self.idle: list[Actor] = []
        self.failed_starts = 0

    def start_batches(self, queue: deque[Batch]) -> None:
        """Hand to Ray, in the queue's order, what there is room for now, and take it off the queue.
        First in, first out, so no batch starves.

        Only a batch that is larger than the whole cluster, as after the loss of a node, is passed
        over while there is something else to do.
        """
        if queue:
            self._kill_useless()

        while queue:
            position = self._first_that_fits(queue)
            if position is None and self.running:
                break
            position = position or 0
            if not self._start_batch(queue, position):
                break
            del queue[position]

        not_needed = list(self.starting.values())[len(queue) :]
        self._kill(not_needed)
        if not queue and self.head.is_remote:
            self._kill(self.idle)  # so that a cluster can give their nodes back

    def finished(self) -> Iterator[tuple[Batch, list[TrialResult]]]:
        """Wait up to FINISHED_WAIT_S for something to finish, and yield the batches that did with
        their results."""
        waiting = [*self.running, *self.starting]
        if not waiting:
            time.sleep(FINISHED_WAIT_S)
            return

        done, _ = ray.wait(waiting, num_returns=1, timeout=FINISHED_WAIT_S)
        for ref in done:
            with undivided():
                outcome = None if ref in self.starting else self._batch_finished(ref)
                if outcome is None:
                    self._actor_started(ref)
            if outcome:
                yield outcome

    def kill_overdue(self) -> None:
        """Kill the actors whose batches do not answer their time limit: no signal reaches code that
        is stuck outside Python."""
        limit = self.settings.seconds + HARD_KILL_GRACE_S
        now = time.monotonic()
        late = [
            ref
            for ref, running in self.running.items()
            if running.actor and not running.overdue and now - running.began > limit
        ]
        if not late:
            return

        _, unfinished = ray.wait(late, num_returns=len(late), timeout=0)
        for ref in unfinished:
            running = self.running[ref]
            if running.actor:
                ray.kill(running.actor.handle)
                self.running[ref] = running._replace(overdue=True)

    def save_checkpoints(self) -> None:
        """Have the trials that are at work alone on this node write a checkpoint. Those on other
        nodes have the one that they wrote last."""
        alone = [running for running in self.running.values() if len(running.batch.trials) == 1]
        let_save(running.actor for running in alone if running.actor)

    def stop(self) -> None:
        """Kill all actors and cancel all batches at work."""
        self._kill([*self.idle, *self.starting.values(), *self._at_work()])

        for ref, running in self.running.items():
            if not running.actor:
                ray.cancel(ref, force=True)

    def abandon(self) -> None:
        """Forget all actors and batches without a word to Ray, whose head is dead. Kill the actors
        on this node."""
        kill([*self.idle, *self._at_work()])
        self.running = {}
        self.starting = {}
        self.idle = []
        self.head.is_alive = False

    def _at_work(self) -> list[Actor]:
        return [running.actor for running in self.running.values() if running.actor]

    def _kill_useless(self) -> None:
        """Drop the idle actors that have died, and kill those whose nodes leave."""
        useless = [
            actor
            for actor in self.idle
            if actor.node in self.head.leaving or not ray_internals.is_alive(actor.handle)
        ]
        self._kill(useless)

    def _first_that_fits(self, queue: deque[Batch]) -> int | None:
        """Return the position of the first batch that the cluster, if it were empty, has room for;
        None if there is no such batch."""
        for position, batch in enumerate(queue):
            if fits(self._need(batch), self.head.nodes):
                return position
        return None

    def _start_batch(self, queue: deque[Batch], position: int) -> bool:
        """Start the batch at this position of the queue if there is room. Return whether it has
        started; if not, room or an actor for it is on the way."""
        batch = queue[position]
        if batch.gpus > 1:
            return self._start_on_several_gpus(batch)

        need = self._need(batch)
        actor = next((actor for actor in self.idle if actor.need == need), None)
        if actor is None:
            self._start_actors(need, itertools.islice(queue, position, position + LOOKAHEAD))
            return False

        self.idle.remove(actor)
        ref = actor.handle.work.remote(_plain(batch), self._settings_of(batch))
        self.running[ref] = RunningBatch(batch, need, actor, time.monotonic())
        self.begun(batch)
        return True

    def _start_on_several_gpus(self, batch: Batch) -> bool:
        """Start the batch if there is room for it, else return False. Actors that are not at work
        make way."""
        self._kill([*self.idle, *self.starting.values()])
        need = self._need(batch)
        if self.running and need.times(self._free()) < 1:
            return False

        ref = multi_gpu.submit(
            str(HOME), _plain(batch), self._settings_of(batch), processes=int(batch.gpus)
        )
        self.running[ref] = RunningBatch(batch, need, None, time.monotonic())
        self.begun(batch)
        return True

    def _start_actors(self, need: ResourceRequest, upcoming: Iterable[Batch]) -> None:
        """Start as many actors as there is room for and `upcoming` batches need. Idle actors that
        hold other resources than these are ended to make room."""
        others = [a for a in [*self.idle, *self.starting.values()] if a.need != need]
        self._kill(others)

        room = need.times(self._free(self.queue_ahead))
        if not self.running and not self.starting:
            room = max(1, room)
        wanted = sum(self._need(batch) == need for batch in upcoming) - len(self.starting)
        options: dict[str, Any] = {
            "num_cpus": need.cpus,
            "num_gpus": need.gpus,
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        if need.memory:
            options["memory"] = int(need.memory)

        for _ in range(min(room, wanted)):
            actor = Actor(self.actor_class.options(**options).remote(), need)
            self.starting[actor.handle.node.remote(str(HOME))] = actor

    def _actor_started(self, ref: ray.ObjectRef) -> None:
        """Make the actor idle. If it exited during start-up, count the exit unless its node is to
        blame.

        Raises UserError after FAILED_STARTS such exits in a row.
        """
        actor = self.starting.pop(ref)
        try:
            node, pid = ray.get(ref)
        except lost.RayError as e:
            out_of_memory_beside_others = self.running and isinstance(e, lost.OutOfMemoryError)
            if not losses.died_with_its_node(e) and not out_of_memory_beside_others:
                self.failed_starts += 1
            if self.failed_starts >= FAILED_STARTS:
                line = last_line(e) if isinstance(e, lost.RayTaskError) else first_line(e)
                raise UserError(f"Ray workers exit during start-up: {line}") from None
            return

        self.failed_starts = 0
        here = node == ray.get_runtime_context().get_node_id()
        self.idle.append(actor._replace(node=node, pid=pid if here else None))

    def _batch_finished(self, ref: ray.ObjectRef) -> tuple[Batch, list[TrialResult]]:
        """Return the batch with its results, and make its actor idle if it can be trusted."""
        running = self.running.pop(ref)
        results = losses.results_of(
            ref,
            running.batch,
            waited=time.monotonic() - running.began,
            overdue=self.settings.seconds if running.overdue else None,
            node_leaves=self._leaves(running) if self.head.is_remote else None,
        )

        if running.actor:
            self.idle.append(running.actor)
            # after such a failure, whatever the process holds is not to be trusted
            if any(result.failure_kind in SHARED_KINDS for result in results):
                self._kill([running.actor])

        several_gpus_at_work = any(other.batch.gpus > 1 for other in self.running.values())
        if running.batch.gpus > 1 and not several_gpus_at_work:
            multi_gpu.reclaim()

        return running.batch, results

    def _leaves(self, running: RunningBatch) -> Callable[[], bool]:
        """Return a function that tells whether the batch's node has notice that it will be taken
        away; for a batch over several GPUs, whether any node has."""

        def node_leaves() -> bool:
            self.head.answers()
            leaving = self.head.leaving
            return running.actor.node in leaving if running.actor else bool(leaving)

        return node_leaves

    def _need(self, batch: Batch) -> ResourceRequest:
        return request_of(self.resources, batch.gpus, batch.memory_gb)

    def _settings_of(self, batch: Batch) -> tuple[Any, ...]:
        return tuple(self.settings._replace(gpus=batch.gpus))

    def _free(self, multiple: int = 1) -> ResourceRequest:
        """Return this multiple of what the nodes have, less what this run's actors and batches hold
        or wait for."""
        everything = total(self.head.nodes)
        free = ResourceRequest(*(multiple * has for has in everything))
        for taken in [*self.running.values(), *self.starting.values(), *self.idle]:
            free = free.without(taken.need)
        return free

    def _kill(self, actors: Iterable[Actor]) -> None:
        """Kill the actors and drop them from those that are idle or starting."""
        for actor in list(actors):
            ray.kill(actor.handle)
            self.idle = [a for a in self.idle if a is not actor]
            self.starting = {ref: a for ref, a in self.starting.items() if a is not actor}


def _plain(batch: Batch) -> list[list[dict[str, Any]]]:
    """Return the batch's stacks without any class of this package, which a node may lack."""
    return [
        [
            {
                "trial_id": trial.trial_id,
                "ref": tuple(trial.ref),
                "config": trial.config,
                "seed": trial.seed,
            }
            for trial in stack
        ]
        for stack in batch.stacks
    ]
