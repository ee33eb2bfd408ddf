"""A worker process as the driver knows it, and signals to those on the driver's own node."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from harness.dispatch.cluster import ResourceRequest
from harness.interruption import GRACE_S


class Actor(NamedTuple):
    """A worker process, and what it holds whether it is at work or not."""

    handle: Any
    need: ResourceRequest
    node: str = ""
    """Ray's id of the node that it runs on, once it has started."""
    pid: int | None = None
    """Its process id, once it has started; None if it runs on another node than the driver."""


def let_save(actors: Iterable[Actor]) -> None:
    """Tell the workers on the driver's node to end, each of which first writes a checkpoint of the
    one trial that it is at. Wait until they have ended, up to GRACE_S."""
    here = [actor.pid for actor in actors if actor.pid]
    for pid in here:
        _signal(pid, signal.SIGTERM)

    deadline = time.monotonic() + GRACE_S
    while any(_is_there(pid) for pid in here) and time.monotonic() < deadline:
        time.sleep(0.05)


def kill(actors: Iterable[Actor]) -> None:
    """Kill the workers on the driver's node without Ray's help."""
    for actor in actors:
        if actor.pid:
            _signal(actor.pid, signal.SIGKILL)


def _signal(pid: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
