"""The columns of a row that are known before its trial starts."""

from datetime import UTC, datetime
from typing import Any

from harness.store import provenance
from harness.store.schema import SCHEMA_VERSION
from harness.sweeps.registry import load
from harness.sweeps.trial import Trial, canonical_json
from harness.task import BaseTask, Config, Task


def identity(trial: Trial, attempt: int, sweep: str) -> dict[str, Any]:
    """Return the columns that are known before a trial starts."""
    task = load(trial.ref)
    config = trial.load_config()
    return {
        "trial_id": trial.trial_id,
        "attempt": attempt,
        "sweep": sweep,
        "task": trial.ref.name,
        "task_version": task.version,
        "seed": trial.seed,
        "config_json": canonical_json(trial.config),
        "settings_json": canonical_json(config.settings() | _data_setting(task, config)),
        "finished_at": datetime.now(UTC),
        "measurement": 0,
        "schema_version": SCHEMA_VERSION,
        **provenance.of_code(),  # the driver's; a worker that answers says its own
    }


def _data_setting(task: BaseTask, config: Config) -> dict[str, str]:
    """Return the setting that stands for data that are read, not made by the task's code: another
    corpus is another curve."""
    if type(task).fingerprint is Task.fingerprint:
        return {}
    return {"data": task.fingerprint(config)[:12]}
