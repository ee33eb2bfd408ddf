"""Random numbers from generators that the whole process shares, where a task should draw from its
seeds: the same trial would get other numbers each time that it runs.

    with watched_generators() as touched:
        data = task.data(config, seeds)
    touched  # ["torch"] where data() drew from torch's own generator, or seeded it
"""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch


def _numpy_state() -> tuple[Any, ...]:
    name, numbers, *rest = np.random.get_state()
    return name, np.asarray(numbers).tobytes(), *rest


STATES: dict[str, Callable[[], Any]] = {
    "torch": lambda: torch.default_generator.get_state().numpy().tobytes(),
    "numpy.random": _numpy_state,
    "random": random.getstate,
}
"""What each generator's next numbers follow from, by the name of its module."""


@contextlib.contextmanager
def watched_generators() -> Iterator[list[str]]:
    """Fill the list, when the block is over, with the names of the generators that it has moved."""
    before = {name: state() for name, state in STATES.items()}
    touched: list[str] = []
    yield touched
    touched += [name for name, state in STATES.items() if state() != before[name]]
