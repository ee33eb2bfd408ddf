"""What this machine has room for: batches at a time, by its cores, its GPUs and its memory; and
what each of them may take."""

import math
import os

import torch

from harness.errors import UserError
from harness.planning.cores import cores_here
from harness.planning.devices import gpus_here
from harness.planning.gpus import Gpus
from harness.planning.memory import PROCESS_BYTES
from harness.planning.times import ROUNDING
from harness.sweeps.gpu_shares import CONTEXT_BYTES
from harness.sweeps.sweep import Resources, Sweep


def slots_here(sweep: Sweep, share: float | None = None) -> int:
    """Return how many batches this machine runs at a time: as many as its cores, its GPUs and, for
    batches that reserve memory, its memory hold.

    share: of a GPU, of each batch; None for the sweep's own. A machine without a GPU plans a sweep
    on GPUs for one GPU of a cluster, whose cores are not known.
    """
    resources = sweep.resources
    if share is None:
        share = 0.0 if resources.gpus == "auto" else resources.gpus
    on_gpus = math.floor(gpus_to_plan_with() / share + ROUNDING) if share else math.inf
    if share and not gpus_here():
        return max(1, min(int(on_gpus), len(sweep.trials)))

    slots = min(on_gpus, cores_here() // resources.cpus)
    if resources.memory_gb:
        slots = min(slots, machine_memory() // (resources.memory_gb * 1e9))
    return max(1, min(int(slots), len(sweep.trials)))


def gpus_to_plan_with() -> int:
    """Return how many GPUs this machine has; 1 where it has none."""
    return max(1, gpus_here())


def machine_memory() -> float:
    """Return this machine's memory in bytes."""
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def worker_memory(sweep: Sweep) -> float:
    """Return the bytes of this machine's memory that one worker may take: `resources.memory_gb`, or
    its share."""
    if sweep.resources.memory_gb:
        return sweep.resources.memory_gb * 1e9
    return machine_memory() / slots_here(sweep)


def stack_memory(sweep: Sweep, share: float) -> float:
    """Return the bytes that a worker plans its stacks with: what its CUDA context leaves of its
    part of the GPU, where it has one, else its part of this machine's memory."""
    one_gpu = gpu_bytes(sweep.resources) if share else None
    if one_gpu is None:
        return worker_memory(sweep)

    reserved = sweep.resources.memory_gb
    host = reserved * 1e9 if reserved else math.inf
    return min(host, PROCESS_BYTES + one_gpu * min(1.0, share) - CONTEXT_BYTES)


def gpus_of(resources: Resources) -> float | Gpus:
    """Return the GPUs that every batch is given, or for `auto` the GPUs that shares are chosen
    from.

    Raises UserError when the memory of a GPU is neither given nor visible.
    """
    if resources.gpus != "auto":
        return resources.gpus

    one_gpu = gpu_bytes(resources)
    if not one_gpu:
        raise UserError(
            "'resources.gpus' is auto, which needs to know what one GPU holds, and torch sees no"
            " GPU on this machine: write it as resources.gpu_memory_gb"
        )
    return Gpus(one_gpu, resources.max_gpus)


def gpu_bytes(resources: Resources) -> float | None:
    """Return the memory of one GPU: `resources.gpu_memory_gb`, or that of this machine's; None
    without either."""
    if resources.gpu_memory_gb:
        return resources.gpu_memory_gb * 1e9
    return float(torch.cuda.mem_get_info()[1]) if torch.cuda.is_available() else None
