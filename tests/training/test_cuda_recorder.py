"""What a failed CUDA graph leaves behind is cleared up, with a GPU that is made up.

Run alone: python -m pytest tests/training/test_cuda_recorder.py
"""

import contextlib
import gc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.training.recorded import CudaRecorder


def test_a_process_in_which_a_recording_failed_records_no_more(monkeypatch: pytest.MonkeyPatch):
    """The GPU is made up."""
    cuda = MadeUpCuda()
    for name in ("Stream", "CUDAGraph", "graph_pool_handle", "graph", "stream", "current_device"):
        monkeypatch.setattr(torch.cuda, name, getattr(cuda, name))
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", cuda.end_of_lending, raising=False)
    monkeypatch.setattr(torch, "zeros", lambda *size, **where: Tensor())
    recorder = CudaRecorder(torch.device("cuda"))

    def refused() -> None:
        assert not gc.isenabled()
        raise RuntimeError("operation not permitted\nand more")

    with pytest.raises(RuntimeError, match="not permitted"):
        recorder.record(refused)
    assert gc.isenabled()
    assert cuda.current == "default", "what follows is launched where it was before"
    assert cuda.lending == []
    assert cuda.ended_well == 1, "a small recording that sets the generator right"
    with pytest.raises(RuntimeError, match="an earlier recording of this process failed"):
        recorder.record(lambda: None)


class MadeUpCuda:
    """As much of torch.cuda as recording calls."""

    def __init__(self):
        self.current = "default"
        self.lending: list[object] = []
        self.ended_well = 0

    def Stream(self, device: torch.device) -> str:
        return "recording"

    def CUDAGraph(self) -> SimpleNamespace:
        return SimpleNamespace(replay=None)

    def graph_pool_handle(self) -> tuple[int, int]:
        return 0, 1

    def current_device(self) -> int:
        return 0

    @contextlib.contextmanager
    def stream(self, stream: str) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextlib.contextmanager
    def graph(self, graph: object, **options: Any) -> Iterator[None]:
        self.current = options["stream"]
        if "pool" not in options:
            assert not self.lending
            self.ended_well += 1
            yield
            return
        self.lending.append(options["pool"])
        yield  # torch 2.11 goes on lending after an error
        self.lending.remove(options["pool"])

    def end_of_lending(self, device: int, pool: tuple[int, int]) -> None:
        self.lending.remove(pool)
