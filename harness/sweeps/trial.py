"""One cell of the grid, and its identity: a hash of what decides its result and of nothing else."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from harness.errors import TrialFailure
from harness.sweeps.registry import TaskRef, load
from harness.task import Config, Task

MEASURE_POINTS = 128
"""Held-out points of all instruments but stability and the training radius, where a sweep does not
say (`harness/sweeps/point_counts.py`)."""

IDENTITY_VERSION = 1
"""Increase it when training itself changes so that the same configuration gives other results."""


@dataclass(frozen=True)
class Trial:
    """A task, a full configuration and a seed. Plain data: it travels to workers as it is."""

    trial_id: str
    ref: TaskRef
    config: dict[str, Any]
    seed: int

    def load_config(self) -> Config:
        """Return the validated configuration."""
        # JSON mode: tuples travel as lists
        return load(self.ref).Config.model_validate_json(canonical_json(self.config))


@dataclass(frozen=True)
class Batch:
    """The trials that one worker runs in one call: stacks, one after another. A stack is trained
    as one program."""

    stacks: tuple[tuple[Trial, ...], ...]
    gpus: float = 0.0
    """The share of one GPU, or the number of GPUs, that the batch runs with."""
    memory_gb: float | None = None
    """Memory to reserve, after a trial ran out of the sweep's; None: as much as the sweep says."""

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials of the batch, in order."""
        return tuple(trial for stack in self.stacks for trial in stack)

    def only(self, trial_ids: Iterable[str]) -> "Batch":
        """Return the batch with these trials alone."""
        wanted = set(trial_ids)
        stacks = (tuple(t for t in stack if t.trial_id in wanted) for stack in self.stacks)
        return replace(self, stacks=tuple(stack for stack in stacks if stack))

    def halves(self) -> "tuple[Batch, Batch]":
        """Return the batch cut in two, between stacks if it has several. Raises ValueError on a
        single trial."""
        if len(self.trials) < 2:
            raise ValueError("a batch of one trial has no halves")

        several = len(self.stacks) > 1
        parts = self.stacks if several else tuple((trial,) for trial in self.trials)
        first = parts[: len(parts) // 2]
        second = parts[len(parts) // 2 :]
        if not several:  # the trials of one stack stay together
            first = (sum(first, ()),)
            second = (sum(second, ()),)
        return replace(self, stacks=first), replace(self, stacks=second)


class RunSettings(NamedTuple):
    """The settings that a batch is run with. Plain values: they travel to workers as a tuple."""

    cpus: int
    gpus: float
    """The batch's own share."""
    seconds: float
    """Time limit of the whole batch; the driver runs the halves of a batch of several again, so
    each trial can have it alone."""
    weights_bytes: int
    """Final weights up to this size come back."""
    measure_points: int | tuple[int, int, int]
    """Points of S, of the training radius and of the other instruments; one number for all."""
    checkpoints: str | None
    """Where trials that train alone keep a checkpoint, with {} for their ids. None, or a folder
    that this machine does not see: no checkpoint is kept."""
    trained: str | None = None
    """Where final weights lie, with {} for the trials' ids: they are measured again, and nothing is
    trained. None: the trials are trained."""


def make_trial(ref: TaskRef, config: Config, seed: int) -> Trial:
    """Return the trial for a validated configuration.

    The trial's id covers the task's name, version and source, the configuration with its defaults,
    the data's content and the seed. The id leaves out resources, store, limits and measures: they
    do not change what is trained.
    """
    task = load(ref)
    identity = {
        "identity_version": IDENTITY_VERSION,
        "task": ref.name,
        "task_version": task.version,
        "task_source": ref.source_hash,
        "config": config.plain(without=config.fields_marked("source")),
        "data": task.fingerprint(config),
        "seed": seed,
    }
    digest = hashlib.sha256(canonical_json(identity).encode()).hexdigest()
    return Trial(digest[:16], ref, config.plain(), seed)


def refuse_other_data(trial: Trial) -> None:
    """Raise TrialFailure if this process would train on other data than the trial was planned with.

    On another machine a folder of the same name, or the standard library of another Python, may
    hold other data. Then the trial's id, computed again here, differs.
    """
    task = load(trial.ref)
    if type(task).fingerprint is Task.fingerprint:
        return  # the data are made by the task's own code
    if make_trial(trial.ref, trial.load_config(), trial.seed).trial_id != trial.trial_id:
        raise TrialFailure(
            "bug",
            "the data that this worker reads is not what the sweep was planned with: its source,"
            " its Python or its unilaw differs",
        )


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spare spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
