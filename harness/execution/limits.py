"""What holds a batch in bounds, and what is asked of the process around it: time limit, denormal
numbers, peak memory."""

import contextlib
import faulthandler
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import torch

from harness.sweeps.gpu_shares import allocator_fraction

HARD_KILL_GRACE_S = 20.0
"""A batch that does not answer its time limit (stuck outside Python) loses its process this much
later, if that is a worker's."""

STUCK_S = 15.0
"""After its time limit, a process that has not answered writes to its standard error where it is
stuck."""


class TimeIsUp(BaseException):
    """Not an Exception, so that no `except Exception` inside a trial can swallow it."""


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Numbers below 1e-38 count as 0: Adam's first moments get there, and made steps up to three
    times slower."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeIsUp in the running code after `seconds`; code that cannot notice is told of on
    standard error."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "a trial must run in its process's main thread, where its time limit can reach it"
        )

    def ring(signum: int, frame: Any) -> None:
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
    """Let torch fill this process's share of its GPU and no more, so that its neighbours keep
    theirs."""
    gpu_bytes = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(allocator_fraction(gpus, gpu_bytes))


def reset_peak_memory(device: str) -> None:
    """Begin to count anew."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as f:
        f.write("5")  # Linux: start VmHWM anew


def peak_memory(device: str) -> int | None:
    """Bytes at most since then: of the GPU, or of the process where the system says; None where
    it does not."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    with contextlib.suppress(OSError), open("/proc/self/status") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
