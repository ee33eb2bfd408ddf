"""A worker process as the driver knows it, and signals to those of this machine."""

import contextlib
import os
import signal
import time
from collections.abc import Collection
from typing import Any, NamedTuple

from harness.dispatch.cluster import ResourceRequest
from harness.interruption import GRACE_S


class Actor(NamedTuple):
    """A worker process, and what it holds whether it is at work or not."""

    handle: Any
    need: ResourceRequest
    node: str = ""
    """Ray's id of the node that it runs on, once it has started."""
    pid: int = 0
    """Its process id on that node, once it has started."""


def let_save(actors: Collection[Actor]) -> None:
    """Tell workers of this machine to end, each of which first writes a checkpoint of the one trial
    that it is at. Wait until they have ended, up to GRACE_S."""
    for actor in actors:
        _signal(actor, signal.SIGTERM)

    deadline = time.monotonic() + GRACE_S
    while any(_is_there(actor) for actor in actors) and time.monotonic() < deadline:
        time.sleep(0.05)


def kill(actors: Collection[Actor]) -> None:
    """Kill workers of this machine without Ray's help."""
    for actor in actors:
        _signal(actor, signal.SIGKILL)


def _signal(actor: Actor, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(actor.pid, signum)


def _is_there(actor: Actor) -> bool:
    try:
        os.kill(actor.pid, 0)
    except ProcessLookupError:
        return False
    return True
