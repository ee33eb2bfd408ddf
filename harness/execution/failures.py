"""Failures as columns: whatever a trial raises, named."""

import os

import torch

from harness.errors import TrialFailure
from harness.execution.limits import TimeIsUp
from harness.store.schema import Columns

PASSED_ON = (TimeIsUp, KeyboardInterrupt)
"""All that a trial may raise without failing by itself. It may raise anything: a Rust
extension's panic is no Exception."""

OUT_OF_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "_STATUS_ALLOC_FAILED")
"""What a RuntimeError says that is about memory: torch's allocator on CPU, CUDA itself, cuBLAS
and cuDNN."""


def failed(kind: str, message: str) -> Columns:
    """The columns of a failed trial."""
    return {"status": "failed", "failure_kind": kind, "failure_message": text(message)[:2000]}


def text(said: str) -> str:
    """What a user's code said, as text that every store can hold (no lone surrogates)."""
    return said.encode("utf-8", "replace").decode("utf-8")


def failure(e: BaseException) -> Columns:
    """The columns for whatever a trial raised; what is neither about memory nor about a GPU that
    answers nobody any more is a bug."""
    if isinstance(e, TrialFailure):
        return failed(e.kind, str(e))
    out_of_memory = isinstance(e, MemoryError | torch.OutOfMemoryError) or (
        isinstance(e, RuntimeError) and any(words in str(e) for words in OUT_OF_MEMORY)
    )
    if isinstance(e, torch.AcceleratorError) and not out_of_memory:
        return failed("crash", f"the GPU's context is lost: {e}")
    return failed(
        "oom" if out_of_memory else "bug",
        f"{type(e).__name__}: {e}" + ("" if out_of_memory else _last_line(e)),
    )


def _last_line(e: BaseException) -> str:
    tb = e.__traceback__
    while tb and tb.tb_next:
        tb = tb.tb_next
    return f" ({os.path.basename(tb.tb_frame.f_code.co_filename)}:{tb.tb_lineno})" if tb else ""
