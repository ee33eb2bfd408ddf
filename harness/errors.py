"""The two ways unilaw says no: to a person (`UserError`) and to a trial (`TrialFailure`)."""

import contextlib
import difflib
import re
from collections.abc import Iterable
from typing import Literal, get_args

FailureKind = Literal["oom", "nan", "timeout", "crash", "preempted", "bug"]
FAILURE_KINDS: tuple[str, ...] = get_args(FailureKind)

RETRIED_KINDS = frozenset({"oom", "crash", "preempted"})
"""Kinds whose cause may lie outside the trial, so that a second attempt is worth its cost. A
NaN, a time limit or an exception comes back identically: those are run again only when asked
(`--retry-failed`)."""

SHARED_KINDS = frozenset({"oom", "crash", "preempted", "timeout"})
"""Kinds that one trial can bring upon its whole batch. They do not say which trial it was, so the
trials of a batch of several are run again apart, without a row, until the culprit is alone."""

assert RETRIED_KINDS <= SHARED_KINDS, (
    "a retry runs the whole batch again, so the trial must be alone"
)


class UserError(Exception):
    """Bad input: one clear sentence per mistake, shown without a traceback. The command exits with
    2."""


class TrialFailure(Exception):
    """Raised inside a trial. Its row gets the kind and the message."""

    def __init__(self, kind: FailureKind, message: str):
        super().__init__(message)
        self.kind: FailureKind = kind


def what_raised(e: BaseException, when: str) -> str:
    """Return `TYPE WHEN: MESSAGE` on one line, for an exception of a user's code: asking it for its
    name or its message may raise, too. Where there is no message, return `TYPE WHEN`."""
    name, message = "an exception", "(it raises when it is asked for its message)"
    with contextlib.suppress(BaseException):
        name = f"{type(e).__name__}"
    with contextlib.suppress(BaseException):
        message = " ".join(str.split(str(e)))
    return (f"{name} {when}: {message}" if message else f"{name} {when}")[:1000]


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return `"; did you mean 'width'?"`, or nothing when no allowed word is close."""
    close = difflib.get_close_matches(str(word), list(allowed), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""Every control character but the newline."""


def strip_control_chars(text: str) -> str:
    """Replace the characters in a store's or a task's text that would steer the reader's
    terminal."""
    return CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)
