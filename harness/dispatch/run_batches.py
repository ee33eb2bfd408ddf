"""Run a queue of batches on Ray and yield their results.

Nothing here decides what to run or how to react to a failure: `harness/run.py` does so through
the batches that it puts into the queue. `worker_pool.py` keeps the worker processes, `cluster.py`
the connection, `losses.py` turns lost batches into failure rows.
"""

import atexit
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator

import ray

from harness.dispatch import ray_internals
from harness.dispatch.cluster import HeadIsDead, connect
from harness.dispatch.worker_pool import WorkerPool
from harness.errors import UserError
from harness.execution.trial_result import TrialResult
from harness.exit_codes import ExitCode
from harness.interruption import exit_code, raise_if_told, told, undivided
from harness.sweeps.sweep import Resources
from harness.sweeps.trial import Batch, RunSettings


def on_ray(
    queue: deque[Batch],
    address: str | None,
    resources: Resources,
    settings: RunSettings,
    begun: Callable[[Batch], None] = lambda _: None,
) -> Iterator[tuple[Batch, list[TrialResult]]]:
    """Run the queue's batches and yield each with its results as it ends, in order of ending.

    The caller may append to the queue between results. `address` is that of a running cluster
    ("auto" or HOST:PORT); None starts Ray on this machine for the duration, unless this process has
    one already. `begun` is told of each batch that a worker begins. A batch whose worker died
    yields failures. Closing the generator cancels what is in flight.

    Raises UserError when there is no cluster at the address, when the cluster has no room for a
    single trial, and when its head has died.
    """
    most_gpus = max((batch.gpus for batch in queue), default=0.0)
    ours = connect(address, resources, most_gpus)
    pool = WorkerPool(address, resources, settings, begun)
    try:
        while queue or pool.running:
            raise_if_told()
            if pool.head.answers():
                pool.kill_overdue()
                with undivided():  # an actor that nobody has noted could not be killed
                    pool.start_batches(queue)
            yield from pool.finished()
    except UserError as e:
        if address is not None or isinstance(e, HeadIsDead):
            _abandon(pool, ExitCode.BAD_INPUT)
        raise
    finally:
        pool.save_checkpoints()
        ended_by = told()
        # The terminal, or a scheduler, may have told this machine's Ray too, which then dies.
        if ended_by and ended_by.signum != signal.SIGINT and not pool.head.is_remote:
            _abandon(pool, exit_code(ended_by))
        pool.stop()
        if ours and pool.head.is_alive:
            ray.shutdown()


def _abandon(pool: WorkerPool, code: ExitCode) -> None:
    """Forget the pool, and have this process end with the exit code and without Ray's own clean-up,
    which would wait for a dead head, or crash."""
    pool.abandon()

    def exit_at_once() -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        ray_internals.end_processes_here()
        os._exit(code)

    atexit.register(exit_at_once)
