"""Several ways of training that take turns step by step, so that all see the same machine."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

from harness.training.language_loop import LanguageCheckpoint


class Turns(LanguageCheckpoint):
    """The turns of one way of training: its thread runs until its next step has ended, and then
    waits to be called again.

    `train_language` asks after each step whether a checkpoint is due; none ever is.
    """

    def __init__(self, device: torch.device, clock: Callable[[], float]):
        self.device = device
        self.clock = clock
        self.ended = False
        self.seconds: list[float] = []
        self.go = threading.Semaphore(0)
        self.back = threading.Semaphore(0)

    def load(self, device: torch.device) -> None:
        return None

    @property
    def due(self) -> bool:
        self.seconds.append(self._now() - self.begin)
        self.back.release()
        self.wait()
        return False

    def wait(self) -> None:
        self.go.acquire()
        self.begin = self._now()

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return self.clock()


Way = Callable[[Turns], list[float]]
"""Trains, and gives the loss of every step at the weights that it began with."""


class Run(NamedTuple):
    losses: list[float]
    seconds: np.ndarray
    """Of every step but the first, which may compile, and the last."""


def in_turns(
    ways: dict[str, Way], device: torch.device, clock: Callable[[], float]
) -> dict[str, Run]:
    """Run them all, one step of each after one of the other."""
    turns = {name: Turns(device, clock) for name in ways}

    def run(way: Way, own: Turns) -> list[float]:
        own.wait()
        try:
            return way(own)
        finally:
            own.ended = True
            own.back.release()

    with ThreadPoolExecutor(len(ways)) as pool:
        futures = {name: pool.submit(run, way, turns[name]) for name, way in ways.items()}
        while not all(own.ended for own in turns.values()):
            for own in [own for own in turns.values() if not own.ended]:
                own.go.release()
                own.back.acquire()
        return {
            name: Run(future.result(), np.array(turns[name].seconds[1:]))
            for name, future in futures.items()
        }
