"""A trial with everything that its plain data stand for: the task, the configuration, the shape."""

from typing import NamedTuple

from harness.planning.model_shape import Shape, shape_of
from harness.sweeps.registry import load
from harness.sweeps.trial import Trial
from harness.task import BaseTask, Config


class ResolvedTrial(NamedTuple):
    """A trial, its task, its validated configuration and the shape of its model."""

    trial: Trial
    task: BaseTask
    config: Config
    shape: Shape


def resolve(trial: Trial) -> ResolvedTrial:
    """Look up the task, validate the configuration and build the model on the meta device.

    Raises whatever the task's model() or input_shape() raises.
    """
    config = trial.load_config()
    return ResolvedTrial(trial, load(trial.ref), config, shape_of(trial.ref, config))
