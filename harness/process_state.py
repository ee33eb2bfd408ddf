"""What a task's code can set for its whole process, and setting it back, so that no trial sees what
another one has set.

    with own_process_state():
        data = task.data(config, seeds)

What a task's module sets while it is imported stays. Generators of random numbers are left alone:
a trial draws from its own seeds, and a task that draws from the process's generator would get the
same numbers every time.
"""

import contextlib
import gc
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch


class _Setting(NamedTuple):
    read: Callable[[], Any]
    write: Callable[[Any], object]


def _attribute(owner: Any, name: str) -> _Setting:
    return _Setting(lambda: getattr(owner, name), lambda value: setattr(owner, name, value))


def _autocast(device: str) -> _Setting:
    return _Setting(
        lambda: torch.is_autocast_enabled(device),
        lambda enabled: torch.set_autocast_enabled(device, enabled),
    )


def _deterministic() -> tuple[bool, bool]:
    enabled = torch.are_deterministic_algorithms_enabled()
    return enabled, torch.is_deterministic_algorithms_warn_only_enabled()


def _set_default_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)  # None: without a mode


def _folder() -> str | None:
    """Return the working folder; None if somebody has removed it."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def _set_warning_filters(filters: list[Any]) -> None:
    warnings.filters[:] = filters  # pyright: ignore[reportIndexIssue]  (a list, typed as a sequence)
    warnings._filters_mutated()  # pyright: ignore[reportAttributeAccessIssue]


SETTINGS = (
    _Setting(torch.get_default_dtype, torch.set_default_dtype),
    _Setting(torch.get_default_device, _set_default_device),
    _Setting(torch.get_num_threads, torch.set_num_threads),
    _Setting(torch.is_grad_enabled, torch.set_grad_enabled),
    _Setting(torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    _Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    _Setting(_deterministic, lambda d: torch.use_deterministic_algorithms(d[0], warn_only=d[1])),
    _autocast("cpu"),
    _autocast("cuda"),
    _attribute(torch.backends.cudnn, "benchmark"),
    _attribute(torch.backends.cudnn, "deterministic"),
    _Setting(np.geterr, lambda how: np.seterr(**how)),
    _Setting(_folder, lambda folder: folder and os.chdir(folder)),
    _Setting(lambda: list(warnings.filters), _set_warning_filters),
    _Setting(gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()),
    _Setting(sys.getrecursionlimit, sys.setrecursionlimit),
    _attribute(sys, "stdout"),
    _attribute(sys, "stderr"),
)

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
"""Signals whose handlers end a run or a trial."""


@contextlib.contextmanager
def own_process_state() -> Iterator[None]:
    """Leave the process as it was before the block, in SETTINGS and in the handlers of HANDLED.
    Also a decorator. Takes a tenth of a millisecond."""
    before = [setting.read() for setting in SETTINGS]
    handlers = {signum: signal.getsignal(signum) for signum in HANDLED}
    try:
        yield
    finally:
        for setting, value in zip(SETTINGS, before, strict=True):
            if setting.read() != value:
                setting.write(value)

        if threading.current_thread() is threading.main_thread():
            for signum, handler in handlers.items():
                if signal.getsignal(signum) != handler:
                    signal.signal(signum, handler)
