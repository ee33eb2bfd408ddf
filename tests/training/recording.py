"""A recorder for a CPU, which keeps what a CUDA graph keeps: the kernels that a step launched, the
places in memory that they read and wrote, and every number that Python gave them.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from harness.training import running_stack
from harness.training.recorded import Recorder, _copies, _restore


class Tape(TorchDispatchMode):
    """Writes down every operation that is done below autograd, and does them again."""

    def __init__(self):
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = tree_map(lambda value: value, (args, kwargs or {}))  # lists may change later
        results = func(*args, **kwargs or {})
        self.calls.append((func, *given, results))
        return results

    @torch.no_grad()
    def play(self) -> None:
        for func, args, kwargs, results in self.calls:
            again = func(*args, **kwargs)
            for place, result in zip(tree_leaves(results), tree_leaves(again), strict=True):
                if isinstance(place, Tensor) and not _share_memory(place, result):
                    place.copy_(result)


def _share_memory(a: Tensor, b: Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


class Replays:
    """Stands for a GPU that records everything, and counts what it was asked."""

    def __init__(self):
        self.plain = 0
        self.watched = 0
        self.recorded = 0
        self.replayed = 0
        self.refusal: str | None = None
        """What `watch` answers."""

    def do(self, work: Callable[[], None]) -> None:
        self.plain += 1
        work()

    def watch(self, work: Callable[[], None]) -> str | None:
        self.watched += 1
        work()
        return self.refusal

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        self.recorded += 1
        step = work.__self__  # pyright: ignore[reportFunctionMemberAccess]
        before = _copies(step)
        with self.forked(), Tape() as tape:
            work()
        _restore(step, before)

        def replay() -> None:
            self.replayed += 1
            tape.play()

        return replay

    def forked(self) -> contextlib.AbstractContextManager[None]:
        return torch.random.fork_rng(devices=[])


@contextlib.contextmanager
def recorded_by(recorder: Recorder | None) -> Iterator[None]:
    """Let every stack record its steps with this recorder; not at all with None."""
    with patch.object(running_stack, "recorder_for", lambda device: recorder):
        yield
