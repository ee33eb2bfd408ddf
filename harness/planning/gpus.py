"""How much of a GPU, or how many of them, trials need: by the bytes that they take."""

from collections.abc import Sequence
from typing import NamedTuple

from harness.planning.memory import alone_bytes, stack_bytes
from harness.planning.resolved import ResolvedTrial
from harness.sweeps.gpu_shares import SMALLEST, smallest_fitting_share
from harness.task import BaseTask


class Gpus(NamedTuple):
    """The GPUs that shares are chosen from."""

    bytes: float
    """Memory of each."""
    most: int
    """GPUs that a language model's trial may have at the most."""
    least: float = SMALLEST
    """The smallest share of one that a batch is given."""


def max_gpus(task: BaseTask, allowed: int) -> int:
    """Return how many of the allowed GPUs one trial of the task can use."""
    return int(min(task.max_gpus, allowed))


def share_alone(resolved: ResolvedTrial, gpus: Gpus) -> float | None:
    """Return the smallest share of GPUs that holds a trial by itself; None when no allowed share
    does."""
    share = smallest_fitting_share(
        lambda share: alone_bytes(resolved, share),
        gpus.bytes,
        max_gpus(resolved.task, gpus.most),
    )
    return None if share is None else max(share, gpus.least)


def share_of_stack(stack: Sequence[ResolvedTrial], groups: int, gpus: Gpus) -> float:
    """Return the smallest share that holds a stack. The trials of each of its `groups` share their
    samples. Where no allowed share holds the stack, return the largest that is allowed."""
    if len(stack) == 1:
        (resolved,) = stack
        return share_alone(resolved, gpus) or float(max_gpus(resolved.task, gpus.most))

    # twice, as on a CPU: a stack is planned to take half of what there is
    needed = 2 * stack_bytes(stack, groups)
    return max(smallest_fitting_share(lambda _: needed, gpus.bytes, 1) or 1.0, gpus.least)
