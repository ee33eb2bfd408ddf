"""A trial on its way through a worker, after its data and before its training."""

from typing import NamedTuple

import torch

from harness.sweeps.trial import Trial
from harness.task import Config, Data, Seeds, Task


class Prepared(NamedTuple):
    """A trial with its data made and its model initialised."""

    trial: Trial
    task: Task
    config: Config
    seeds: Seeds
    data: Data
    data_hash: str
    model: torch.nn.Module
