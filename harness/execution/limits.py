"""Limits and settings of the process that a batch runs in: time, GPU memory, denormal numbers, and
the count of peak memory."""

import contextlib
import faulthandler
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import torch

from harness.interruption import raise_if_told
from harness.sweeps.gpu_shares import allocator_fraction

HARD_KILL_GRACE_S = 20.0
"""A batch that does not stop at its time limit, because it is stuck outside Python, loses its
process this many seconds after the limit. Only workers' processes are ended."""

STUCK_S = 15.0
"""A process that has not stopped at its time limit writes to standard error where it is stuck, this
many seconds after the limit."""


class TimeIsUp(BaseException):
    """Raised in a batch whose time limit has passed. Not an Exception, so that no
    `except Exception` inside a trial can swallow it."""


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Count numbers below 1e-38 as 0. Adam's first moments get that small, and made steps up to
    three times slower."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeIsUp in the running code after `seconds`. When the code cannot be interrupted, its
    stack is written to standard error STUCK_S later.

    Raises RuntimeError outside the main thread, which alone receives signals.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "a trial must run in its process's main thread, where its time limit can reach it"
        )

    def ring(signum: int, frame: Any) -> None:
        raise_if_told()  # a signal to end was postponed, and its time is up
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(seconds + STUCK_S, file=sys.__stderr__ or 2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


def bound_gpu_memory(gpus: float) -> None:
    """Limit torch to this process's share of its GPU, so that the neighbours keep theirs."""
    gpu_bytes = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(allocator_fraction(gpus, gpu_bytes))


def reset_peak_memory(device: str) -> None:
    """Begin to count peak memory anew."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as f:
        f.write("5")  # Linux: start VmHWM anew


def peak_memory(device: str) -> int | None:
    """Return the most bytes in use since the count began: on the GPU, or in the process. None where
    the system does not say."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    with contextlib.suppress(OSError), open("/proc/self/status") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
