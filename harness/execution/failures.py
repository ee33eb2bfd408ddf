"""Failures as results: whatever a trial raises gets a kind and a message."""

import math
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from harness.errors import FAILURE_KINDS, TrialFailure
from harness.execution.limits import TimeIsUp
from harness.execution.trial_result import TrialResult
from harness.interruption import Interrupted
from harness.store.schema import Columns

P = ParamSpec("P")
R = TypeVar("R")

PASSED_ON = (TimeIsUp, Interrupted)
"""What a signal raises: it ends the whole batch. Whatever else a trial raises fails that trial
alone, even a KeyboardInterrupt of its own, or what is no Exception: a panic in a Rust extension."""

OUT_OF_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "_STATUS_ALLOC_FAILED")
"""Words of a RuntimeError that is about memory: from torch's allocator on the CPU, from CUDA, and
from cuBLAS and cuDNN."""

LONGEST_MESSAGE = 2000
"""Characters of a failure's message that a row keeps."""


def caught(step: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | TrialResult:
    """Return what `step` returns, or the failure that it raised. PASSED_ON is raised again."""
    try:
        return step(*args, **kwargs)
    except PASSED_ON:
        raise
    except BaseException as e:
        return failure(e)


def failed(kind: str, message: str) -> TrialResult:
    """Return the result of a failed trial."""
    return TrialResult({
        "status": "failed",
        "failure_kind": kind,
        "failure_message": text(message)[:LONGEST_MESSAGE],
    })  # fmt: skip


def text(words: str) -> str:
    """Return a user's words as text that every store can hold: without lone surrogates."""
    return words.encode("utf-8", "replace").decode("utf-8")


def failure(e: BaseException) -> TrialResult:
    """Return the failure that stands for an exception: a TrialFailure's own kind, oom, crash for a
    GPU that no longer answers, and bug for everything else."""
    message = message_of(e)
    if isinstance(e, TrialFailure) and e.kind in FAILURE_KINDS:
        return failed(e.kind, message)

    if _is_about_memory(e, message):
        return failed("oom", f"{type(e).__name__}: {message}")

    if isinstance(e, torch.AcceleratorError):
        return failed("crash", f"the GPU's context is lost: {message}")

    return failed("bug", f"{type(e).__name__}: {message}{_last_line(e)}")


def message_of(e: BaseException) -> str:
    """Return an exception's message. A task's own exception may raise another one when asked."""
    try:
        return str(e)
    except PASSED_ON:
        raise
    except BaseException as another:
        return f"(its message cannot be had: __str__ raises {type(another).__name__})"


def refuse_infinite_loss(measured: Columns) -> None:
    """Raise TrialFailure when the loss on held-out data is infinite or not a number."""
    loss = measured["test_loss"]
    if not math.isfinite(loss):
        raise TrialFailure("nan", f"the loss on held-out data is {loss}")


def _is_about_memory(e: BaseException, message: str) -> bool:
    if isinstance(e, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(e, RuntimeError) and any(words in message for words in OUT_OF_MEMORY)


def _last_line(e: BaseException) -> str:
    """Return ` (file:line)` of where the exception was raised; empty without a traceback."""
    tb = e.__traceback__
    if tb is None:
        return ""

    while tb.tb_next:
        tb = tb.tb_next
    return f" ({os.path.basename(tb.tb_frame.f_code.co_filename)}:{tb.tb_lineno})"
