"""A recorder for a CPU: it replays by doing the work again, and counts what it was asked."""

import contextlib
from collections.abc import Callable, Iterator
from unittest.mock import patch

import torch

from harness.training import running_stack
from harness.training.recorded import Recorder


class Replays:
    """Stands for a GPU that records everything."""

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

        def replay() -> None:
            self.replayed += 1
            work()

        return replay

    def forked(self) -> contextlib.AbstractContextManager[None]:
        return torch.random.fork_rng(devices=[])


@contextlib.contextmanager
def recorded_by(recorder: Recorder | None) -> Iterator[None]:
    """Let every stack record its steps with this recorder; not at all with None."""
    with patch.object(running_stack, "recorder_for", lambda device: recorder):
        yield
