"""A trial that is ready to train or to be measured: its data made, its model initialised."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from harness.execution.failures import caught
from harness.execution.kept_data import KeptData
from harness.execution.model_weights import initialised
from harness.execution.trial_result import TrialResult
from harness.sweeps.registry import load_samples
from harness.sweeps.trial import Trial
from harness.task import Config, Data, Seeds, Task, check_dimensions
from harness.training.frontier_plan import search_seeds

_KEPT = KeptData()


class Prepared(NamedTuple):
    """A trial with its data made and its model initialised."""

    trial: Trial
    task: Task
    config: Config
    seeds: Seeds
    data: Data
    data_hash: str
    data_note: str | None
    model: torch.nn.Module

    @property
    def bytes(self) -> int:
        """Return the bytes of the model and of its data."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        tensors += [self.data.x_train, self.data.x_test]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def as_measured(self) -> "Prepared":
        """Return the trial with its samples as inputs of its trained model."""
        return self._replace(data=self.task.as_measured(self.config, self.model, self.data))


def prepare(trial: Trial, device: torch.device) -> Prepared:
    """Return the trial with its samples and its initial model on the device. Raises whatever the
    task raises."""
    task = load_samples(trial.ref)
    config = trial.load_config()
    check_dimensions(task.input_shape(config), task.d_ambient(config))

    seeds = Seeds(trial.seed)
    made = _KEPT.of(trial.ref, config, trial.seed, device)
    model = initialised(task, config, search_seeds(config, seeds)).to(device)
    return Prepared(trial, task, config, seeds, *made, model)


def prepare_each(
    trials: tuple[Trial, ...], step: Callable[[Trial], Prepared]
) -> tuple[dict[int, Prepared], dict[int, TrialResult]]:
    """Prepare each trial. Return two dictionaries by position in `trials`: the prepared trials, and
    the failures of the others."""
    prepared: dict[int, Prepared] = {}
    failures: dict[int, TrialResult] = {}
    for i, trial in enumerate(trials):
        one = caught(step, trial)
        if isinstance(one, TrialResult):
            failures[i] = one
        else:
            prepared[i] = one
    return prepared, failures
