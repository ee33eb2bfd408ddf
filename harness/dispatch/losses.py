"""What becomes of a batch that Ray lost: a failure row for each of its trials, with the reason."""

from collections.abc import Callable

import ray
from ray import exceptions as lost

from harness.dispatch import ray_internals
from harness.dispatch.error_lines import first_line, last_line
from harness.errors import UserError
from harness.execution.failures import LONGEST_MESSAGE, text
from harness.execution.trial_result import TrialResult
from harness.store.schema import MEASURES_VERSION
from harness.sweeps.trial import Batch


def results_of(
    ref: ray.ObjectRef,
    batch: Batch,
    waited: float,
    overdue: float | None,
    node_leaves: Callable[[], bool] | None,
) -> list[TrialResult]:
    """Return the results of a batch that has ended, one for each trial; failures with the reason if
    the batch was lost.

    `waited` is how long the batch was at work, in seconds. `overdue` is the time limit in seconds
    if the batch lost its process for exceeding it. `node_leaves` tells whether the batch's node has
    notice that it will be taken away, since its processes may die before the node does; it is None
    where this machine is the only node.

    Raises UserError when this machine's Ray has died.
    """
    try:
        return [TrialResult(*values) for values in ray.get(ref)]
    except lost.LocalRayletDiedError:
        raise UserError(
            "this machine's Ray died; finished trials are in the store, so run the same command"
            " again"
        ) from None
    except lost.RayError as e:
        kind, message = _reason(e, overdue, node_leaves)

    columns = {
        "status": "failed",
        "failure_kind": kind,
        "failure_message": text(message)[:LONGEST_MESSAGE],
        "wall_s": waited,
        "gpus": batch.gpus,
        "measures_version": MEASURES_VERSION,
        "ray_version": ray.__version__,
    }
    return [TrialResult(dict(columns)) for _ in batch.trials]


def _reason(
    e: lost.RayError, overdue: float | None, node_leaves: Callable[[], bool] | None
) -> tuple[str, str]:
    """Return the kind of failure and its message for an error that Ray raised for a batch."""
    if isinstance(e, lost.OutOfMemoryError):
        return "oom", f"Ray ended the worker because the node ran out of memory: {first_line(e)}"

    # ObjectLostError: the node died after the batch, before its columns came back
    if isinstance(e, lost.NodeDiedError | lost.ObjectLostError):
        return "preempted", f"the node died: {first_line(e)}"

    if isinstance(e, lost.WorkerCrashedError | lost.ActorDiedError | lost.ActorUnavailableError):
        return _reason_of_death(e, overdue, node_leaves)

    if isinstance(e, lost.RayTaskError):
        return "bug", f"the worker could not run the batch: {last_line(e)}"

    return "crash", f"Ray could not run the batch: {type(e).__name__}: {first_line(e)}"


def _reason_of_death(
    e: lost.RayError, overdue: float | None, node_leaves: Callable[[], bool] | None
) -> tuple[str, str]:
    """Return the kind of failure and its message for a worker process that died."""
    if node_leaves and died_with_its_node(e):
        return "preempted", f"the node died or cannot be reached: {last_line(e)}"

    if overdue is not None:
        return "timeout", f"did not stop at its limit of {overdue:g} s and lost its process"

    if node_leaves and node_leaves():
        return "preempted", (
            f"the worker process died, and its node is about to be taken away: {first_line(e)}"
        )

    return "crash", f"the worker process died: {first_line(e)}"


def died_with_its_node(e: lost.RayError) -> bool:
    """Return whether an actor died because its node did. A node that vanishes without a word leaves
    an ActorUnavailableError."""
    if isinstance(e, lost.ActorDiedError):
        return ray_internals.actor_lost_its_node(e)
    return isinstance(e, lost.ActorUnavailableError)
