"""Run a queue of batches on Ray and yield their results.

Nothing here decides what to run or how to react to a failure: `harness/run.py` does so through
the batches that it puts into the queue. `worker_pool.py` keeps the worker processes, `cluster.py`
the connection, `losses.py` turns lost batches into failure rows.
"""

import atexit
import os
import sys
from collections import deque
from collections.abc import Iterator

import ray

from harness.dispatch.cluster import connect
from harness.dispatch.worker_pool import WorkerPool
from harness.errors import UserError
from harness.execution.trial_result import TrialResult
from harness.sweeps.sweep import Resources
from harness.sweeps.trial import Batch, RunSettings


def on_ray(
    queue: deque[Batch], address: str | None, resources: Resources, settings: RunSettings
) -> Iterator[tuple[Batch, list[TrialResult]]]:
    """Run the queue's batches and yield each with its results as it ends, in order of ending.

    The caller may append to the queue between results. `address` is that of a running cluster
    ("auto" or HOST:PORT); None starts Ray on this machine for the duration, unless this process has
    one already. A batch whose worker died yields failures. Closing the generator cancels
    what is in flight.

    Raises UserError when there is no cluster at the address, when the cluster has no room for a
    single trial, and when its head has died.
    """
    most_gpus = max((batch.gpus for batch in queue), default=0.0)
    ours = connect(address, resources, most_gpus)
    pool = WorkerPool(address, resources, settings)
    try:
        while queue or pool.running:
            if pool.head.answers():
                pool.kill_overdue()
                pool.start_batches(queue)
            yield from pool.finished()
    except UserError:
        if address is not None:  # whoever asks a dead head waits for ever
            pool.abandon()
            atexit.register(_exit_at_once)
        raise
    finally:
        pool.stop()
        if ours and pool.head.is_alive:
            ray.shutdown()


def _exit_at_once() -> None:
    """End this process with the exit code of a UserError, without Ray's own clean-up: it would wait
    for the dead head, or crash."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(2)
