"""Rows and records for tests of the store, and the names in a store's folder."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from harness.store.columns.perturbations import CORRUPTIONS, TOKEN_CHANGES
from harness.store.columns.pictures import CHANGES
from harness.store.columns.size import GROUPS
from harness.store.columns.training import CURVE
from harness.store.records import RunRecord, SweepRecord
from harness.store.schema import COLUMNS
from harness.store.store import Store

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

OK = {
    "status": "ok",
    "family": "toy",
    "p": 1,
    "outputs": 1,
    "stop_rule": "noise",
    "stop_reason": "below_noise",
}
"""What every trial that succeeds says of itself, whatever was measured."""


def row(trial_id: str = "t0", **columns: Any) -> dict[str, Any]:
    """Return a row with the columns that every ok row has, and these others."""
    required = {
        "trial_id": trial_id,
        "attempt": 1,
        "sweep": "s",
        "task": "toy",
        "task_version": 1,
        "seed": 0,
        "config_json": "{}",
        "settings_json": "{}",
        "unilaw_version": "0",
        "finished_at": NOON,
        "measures_version": 1,
        "schema_version": 1,
    }
    return {**required, **OK, **columns}


EXAMPLES: dict[pa.DataType, Any] = {
    pa.string(): "text ± ü",
    pa.bool_(): True,
    pa.int32(): 2**31 - 1,
    pa.int64(): 2**63 - 1,
    pa.float64(): 0.1,
    pa.timestamp("us", tz="UTC"): NOON,
    pa.list_(pa.float64()): [0.5, float("nan")],
    pa.list_(pa.string()): ["a warning"],
    GROUPS: [{"group": "0", "trainable": 3, "frozen": 4}],
    CORRUPTIONS: [
        {
            "kind": "blur",
            "severity": 1,
            "size": 1.0,
            "accuracy": 0.5,
            "accuracy_se": 0.1,
            "flip_rate": 0.0,
        }
    ],
    CURVE: [{"step": 10, "tokens": 640, "loss": 3.5}],
    TOKEN_CHANGES: [
        {
            "kind": "typo",
            "distance": 2,
            "accuracy": 0.5,
            "accuracy_se": 0.1,
            "kl": 0.2,
            "kl_se": 0.1,
            "flip_rate": 0.3,
        }
    ],
    CHANGES: [{"label": "3", "before": "3", "after": "5", "distance": 0.1}],
}


def full_row(trial_id: str = "full") -> dict[str, Any]:
    """Return a row with a value in every column."""
    values = {column.name: EXAMPLES[column.type] for column in COLUMNS}
    return {**values, "environment_json": "{}", **row(trial_id)}


def record(name: str, trials: list[str], task_source: str | None = None) -> SweepRecord:
    """Return a sweep's record. Trial ids are padded with zeros to 16 digits."""
    tasks = {trial.ljust(16, "0"): "toy" for trial in trials}
    return SweepRecord(name=name, text=f"name: {name}\n", task_source=task_source, trials=tasks)


def appended(store: Store, rows: list[dict[str, Any]]) -> Path:
    """Append the rows. Return the path of their file."""
    return Path(store.where) / store.append(rows)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def ran(minute: int, name: str = "s") -> RunRecord:
    """Return the record of a run that began so many minutes after noon."""
    began = NOON.replace(minute=minute)
    return RunRecord(
        sweep=name, began=began, inline=False, trials=3, forecast_s=12.5, seconds=13.25
    )


class Crash(BaseException):
    """Ends the program as a kill would: nothing catches it as an error."""


FAILED = {"status": "failed", "failure_kind": "crash"}
"""Columns of a failed attempt."""
