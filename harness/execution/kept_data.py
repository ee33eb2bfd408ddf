"""Data that a worker keeps from one batch to the next, which often needs the same."""

from functools import partial
from typing import NamedTuple

import torch

from harness.execution.global_generators import watched_generators
from harness.measures import on_device
from harness.planning.field_tracking_cache import FieldTrackingCache
from harness.process_state import own_process_state
from harness.store.data_note import shared_draws
from harness.sweeps.registry import TaskRef, load_samples
from harness.task import Config, Data, Seeds, check

KEPT_NUMBERS = 100_000_000
"""Numbers kept at most, in inputs: 0.4 GB."""


class Made(NamedTuple):
    """The samples that a task has made for a trial."""

    data: Data
    data_hash: str
    note: str | None
    """What is doubtful about them; None when nothing is."""


class KeptData:
    """The samples that this process has made, once for all trials that read the same fields.

    Everything is forgotten at once when it holds more than KEPT_NUMBERS.
    """

    def __init__(self):
        self.memos: dict[TaskRef, FieldTrackingCache[Made]] = {}
        self.numbers = 0

    def of(self, ref: TaskRef, config: Config, seed: int, device: torch.device) -> Made:
        """Return the trial's samples, on the device. Raises whatever the task's
        data() raises, and ValueError when the samples break the contract."""
        if self.numbers > KEPT_NUMBERS:
            self.memos = {}
            self.numbers = 0

        if ref not in self.memos:
            self.memos[ref] = FieldTrackingCache(partial(self._make, ref))
        return self.memos[ref](config, seed, str(device))

    @own_process_state()
    def _make(self, ref: TaskRef, config: Config, seed: int, device: str) -> Made:
        task = load_samples(ref)
        with watched_generators() as touched:
            data = task.data(config, Seeds(seed))
        check(data, task.input_shape(config), config.n)

        note = shared_draws(touched) if touched else None
        self.numbers += data.x_train.numel() + data.x_test.numel()
        return Made(on_device(data, torch.device(device)), data.content_hash(), note)
