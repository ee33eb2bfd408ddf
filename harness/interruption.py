"""What ends a command from outside: Ctrl-C, a signal to end, or a reader of its output that has
gone away. All of them are one exception, which passes wherever Ctrl-C passes.

    with interruptions():  # SIGINT, SIGTERM and SIGHUP raise Interrupted in here,
        with postponed():  # or up to GRACE_S later, so that a checkpoint can be written
            while training:
                step()
                if told():
                    save()
                    raise_if_told()
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from harness.exit_codes import ExitCode

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a command."""

GRACE_S = 5.0
"""Seconds that a trial has for a last checkpoint. Slurm and Kubernetes kill after 30 s."""


class Interrupted(KeyboardInterrupt):
    """The command was told to end by a signal, or would have been by SIGPIPE. A KeyboardInterrupt,
    so that whatever lets Ctrl-C through lets this through."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


def exit_code(e: KeyboardInterrupt) -> ExitCode:
    """Return the exit code of a command that this has ended."""
    return ExitCode(128 + (e.signum if isinstance(e, Interrupted) else signal.SIGINT))


@contextlib.contextmanager
def ends_with_its_code() -> Iterator[None]:
    """End the command with the exit code of whatever interrupts the block. Outside of it, typer
    makes every KeyboardInterrupt exit code 130."""
    try:
        with interruptions():
            yield
    except KeyboardInterrupt as e:
        raise SystemExit(exit_code(e)) from None


_told: Interrupted | None = None
"""The first signal of this process that ends what `interruptions` surrounds."""

_surrounded = False
_postponed = False
_undivided = False


@contextlib.contextmanager
def interruptions() -> Iterator[None]:
    """Raise Interrupted in the running code at a signal of SIGNALS, except at those that the
    process was started to ignore, as by `nohup`.

    Does nothing inside another `interruptions`, and outside the main thread, which alone receives
    signals.
    """
    global _surrounded, _told
    if _surrounded or threading.current_thread() is not threading.main_thread():
        yield
        return

    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    ours = {s: handler for s, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    _surrounded = True
    try:
        for signum in ours:
            signal.signal(signum, _end)
        yield
    finally:
        for signum, handler in ours.items():
            signal.signal(signum, handler)
        _surrounded = False
        _told = None


def _end(signum: int, frame: FrameType | None) -> None:
    global _told
    if _told and signum != signal.SIGINT:
        return  # `timeout` sends its signal twice; only Ctrl-C hurries a command that is ending
    hurried = _told is not None
    _told = Interrupted(signum)

    if _undivided and not hurried:
        return
    if _postponed and not hurried:
        signal.setitimer(signal.ITIMER_REAL, GRACE_S)
        return
    raise _told


@contextlib.contextmanager
def postponed(wanted: bool) -> Iterator[None]:
    """Raise Interrupted only where the code calls `raise_if_told`, once the block is over, or at
    the alarm (SIGALRM) that rings after GRACE_S, whose handler must call it too. Does nothing
    unless `wanted`."""
    global _postponed
    _postponed = wanted
    try:
        yield
    finally:
        _postponed = False
    raise_if_told()


@contextlib.contextmanager
def undivided() -> Iterator[None]:
    """Raise Interrupted not within the block, but where the code next calls `raise_if_told`; a
    second Ctrl-C cuts in. For short steps that do something and note that it is done, of which
    neither may stand alone."""
    global _undivided
    _undivided = True
    try:
        yield
    finally:
        _undivided = False


def tell(signum: int) -> None:
    """Have `raise_if_told` end what `interruptions` surrounds, as the signal would at once."""
    global _told
    if _surrounded:
        _told = _told or Interrupted(signum)


def told() -> Interrupted | None:
    """Return what has told this process to end; None if nothing has."""
    return _told


def raise_if_told() -> None:
    """Raise Interrupted in a process that was told to end: its signal may have come while it was
    postponed, or in code that has swallowed the exception."""
    if _told:
        raise _told
