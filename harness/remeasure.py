"""`unilaw measure STORE`: measure kept weights with today's instruments, without training anything again.

Each trial gets a new row: its old one with the measured columns replaced, a newer `measures_version`, and when and by
which code it was measured. The old rows stay in the store, behind the new ones in the latest view.
"""

import json
from collections import Counter, deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from harness import provenance
from harness.errors import SHARED_KINDS, UserError
from harness.execute import Given
from harness.measures.counts import params_per_number
from harness.progress import Progress
from harness.registry import TaskRef, installed, load
from harness.run import results
from harness.schema import MEASURES_VERSION, SCHEMA_VERSION, arrow_schema
from harness.shape import shape_of
from harness.store import Store, latest
from harness.sweep import Limits, Resources
from harness.trial import Batch, Trial

TOGETHER = 16
"""Trials measured in one batch, as one stack where their models allow it."""


class Remeasured(NamedTuple):
    """Trials with new rows; trials that have today's measures already, or no kept weights; and those that could not be measured."""

    measured: int
    current: int
    without_weights: int
    failed: Counter[str]


def remeasure(
    store: Store, refs: Mapping[str, TaskRef], resources: Resources, points: int, address: str | None, inline: bool, again: bool,
    progress: Progress,
) -> Remeasured:  # fmt: skip
    """Measure every finished trial whose weights were kept and whose measures are older than today's (`again`: all of them).

    Tasks of a task file must be given in `refs`: the copy in a store is never run, as anybody may have written it.
    Raises UserError when a task is not known.
    """
    contents = store.read()
    for problem in contents.problems:
        progress.say(problem)
    newest = latest(contents.rows)
    ok = newest[newest["status"] == "ok"]
    old = ok if again else ok[ok["measures_version"] < MEASURES_VERSION]
    todo = old[old["weights_file"].notna()]
    rows = {row["trial_id"]: row for row in _plain(todo)}
    queue = deque(_batches([_trial(row, refs) for row in rows.values()]))
    given = Given(
        cpus=resources.cpus, gpus=resources.gpus, seconds=Limits().seconds_per_trial, weights_bytes=0, measure_points=points,
        checkpoints=None, trained=store.weights(),
    )  # fmt: skip
    failed: Counter[str] = Counter()
    measured = 0
    progress.start(len(rows), finished_before=len(ok) - len(old), given_up=0, batches=len(queue), forecast=None)
    for batch, found in results(queue, resources, given, address, inline) if queue else ():
        if len(batch.trials) > 1 and any(c.get("failure_kind") in SHARED_KINDS for c in found):
            queue.extend(batch.halves())
            continue
        new = []
        for trial, columns in zip(batch.trials, found, strict=True):
            row = rows[trial.trial_id]
            kind, message = columns.get("failure_kind"), columns.get("failure_message")
            if not kind and columns["data_hash"] != row["data_hash"]:
                kind, message = "data", "its data are not those it was trained on"
            progress.advance(trial, kind, message)
            if kind:
                failed[kind] += 1
                continue
            picture = columns["_measured"].pop("_pictures", None)
            new.append(_new_row(row, columns) | ({"pictures_file": store.put_pictures(trial.trial_id, picture)} if picture else {}))
        if new:
            store.append(new)
        measured += len(new)
    progress.stop()
    return Remeasured(measured, len(ok) - len(old), len(old) - len(todo), failed)


def _plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as the store takes them: None for what is null, lists as lists."""
    return pa.Table.from_pandas(rows, schema=arrow_schema(), preserve_index=False).to_pylist()


def _trial(row: dict[str, Any], refs: Mapping[str, TaskRef]) -> Trial:
    """The trial of a row. Its id is the row's own: how ids are made may have changed since."""
    name = row["task"]
    ref = refs.get(name) or (TaskRef(name) if name in installed() else None)
    if ref is None:
        raise UserError(f"the store has trials of the task '{name}', which is not installed; name its file with --task-file")
    if load(ref).version != row["task_version"]:
        raise UserError(f"the store has trials of version {row['task_version']} of the task '{name}', and here it is {load(ref).version}")
    return Trial(row["trial_id"], ref, json.loads(row["config_json"]), row["seed"])


def _batches(trials: list[Trial]) -> list[Batch]:
    """TOGETHER at a time, models of one shape family next to each other and those of one size nearest."""
    families: dict[tuple[Any, ...], list[tuple[int, Trial]]] = {}
    for trial in trials:
        config = trial.load_config()
        shape = shape_of(trial.ref, config)
        families.setdefault((trial.ref, shape.family, shape.input_shape, shape.outputs), []).append((shape.p, trial))
    batches = []
    for members in families.values():
        members.sort(key=lambda member: -member[0])
        batches += [Batch((tuple(t for _, t in members[i : i + TOGETHER]),)) for i in range(0, len(members), TOGETHER)]
    return batches


def _new_row(row: dict[str, Any], columns: dict[str, Any]) -> dict[str, Any]:
    """The old row with everything measured anew; where and how it was trained stays as it was."""
    measured = columns["_measured"]
    return {
        **row,
        **measured,
        **params_per_number(row["p"], row["n"], row["d_ambient"], measured),
        "measure_s": columns["measure_s"],
        "measure_share": columns["measure_s"] / (row["train_s"] + columns["measure_s"]),
        "measures_version": MEASURES_VERSION,
        "measured_commit": provenance.of_code()["commit"],
        "measured_at": datetime.now(UTC),
        "finished_at": datetime.now(UTC),
        "schema_version": SCHEMA_VERSION,
    }
