"""`unilaw measure STORE`: measure kept weights with today's instruments, without training anything
again.

Each trial gets a new row: its old one with the measured columns replaced, a newer
`measures_version`, and when and by which code it was measured; its data are read again from where
the row says. The old rows stay in the store, behind the new ones in the latest view.
"""

import json
import re
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from harness.errors import SHARED_KINDS, UserError
from harness.language import LanguageTask
from harness.measures.counts import params_per_number
from harness.planning.model_shape import shape_of
from harness.run import results
from harness.store import provenance
from harness.store.latest import latest
from harness.store.schema import MEASURES_VERSION, SCHEMA_VERSION, arrow_schema, measured_columns
from harness.store.store import Store
from harness.sweeps.registry import TaskRef, installed, load
from harness.sweeps.sweep import Limits, Resources
from harness.sweeps.trial import Batch, RunSettings, Trial
from harness.terminal.progress import Progress

MEASURED = measured_columns()

TOGETHER = 16
"""Trials measured in one batch, as one stack where their models allow it."""


class Remeasured(NamedTuple):
    """Trials with new rows; trials that have today's measures already, or no kept weights; and
    those that could not be measured."""

    measured: int
    current: int
    without_weights: int
    failed: Counter[str]


def remeasure(
    store: Store,
    refs: Mapping[str, TaskRef],
    resources: Resources,
    points: int,
    address: str | None,
    inline: bool,
    again: bool,
    progress: Progress,
) -> Remeasured:
    """Measure every finished trial whose weights were kept and whose measures are older than
    today's (`again`: all of them).

    Tasks of a task file must be given in `refs`: the copy in a store is never run, as anybody may
    have written it. Raises UserError when a task is not known.
    """
    contents = store.read()
    for problem in contents.problems:
        progress.say(problem)
    newest = latest(contents.rows)
    ok = newest[newest["status"] == "ok"]
    old = ok if again else ok[ok["measures_version"] < MEASURES_VERSION]
    todo = old[old["weights_file"].notna()]
    rows = {row["trial_id"]: row for row in _plain(todo)}
    failed: Counter[str] = Counter()
    trials = []
    for row in rows.values():
        trial = _trial(row, refs)
        if isinstance(trial, str):
            failed["unknown"] += 1
            progress.say(f"cannot be measured: {trial}")
        else:
            trials.append(trial)
    gpus = float(resources.gpus)
    queue = deque(replace(batch, gpus=gpus) for batch in _batches(trials))
    given = RunSettings(
        cpus=resources.cpus,
        gpus=gpus,
        seconds=Limits().seconds_per_trial,
        weights_bytes=0,
        measure_points=points,
        checkpoints=None,
        trained=store.weights(),
    )
    measured = 0
    work = dict.fromkeys((t.trial_id for t in trials), 1.0)
    progress.start(
        work, finished_before=len(ok) - len(old), given_up=0, batches=len(queue), forecast=None
    )
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
            new.append(
                _new_row(row, columns)
                | (
                    {"pictures_file": store.put_pictures(trial.trial_id, picture)}
                    if picture
                    else {}
                )
            )
        if new:
            store.append(new)
        measured += len(new)
    progress.stop()
    return Remeasured(measured, len(ok) - len(old), len(old) - len(todo), failed)


def _plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as the store takes them: None for what is null, lists as lists."""
    return pa.Table.from_pandas(rows, schema=arrow_schema(), preserve_index=False).to_pylist()


def _trial(row: dict[str, Any], refs: Mapping[str, TaskRef]) -> Trial | str:
    """The trial of a row, or why it cannot be made again. Its id is the row's own: how ids are
    made may have changed since."""
    name, trial_id = row["task"], row["trial_id"]
    if not re.fullmatch(r"[0-9a-f]{16}", trial_id):  # it becomes part of file names
        return f"a row's trial id is {trial_id[:40]!r}, which is none"
    ref = refs.get(name) or (TaskRef(name) if name in installed() else None)
    if ref is None:
        raise UserError(
            f"the store has trials of the task '{name}', which is not installed; name its file with"
            " --task-file"
        )
    if load(ref).version != row["task_version"]:
        return (
            f"{trial_id} is of version {row['task_version']} of the task '{name}', and here it is"
            f" {load(ref).version}"
        )
    trial = Trial(trial_id, ref, json.loads(row["config_json"]), row["seed"])
    try:
        trial.load_config()
    except ValueError as e:
        return (
            f"{trial_id}: its configuration is not one of the task '{name}' any more"
            f" ({str(e).splitlines()[0]})"
        )
    return trial


def _batches(trials: list[Trial]) -> list[Batch]:
    """TOGETHER at a time, models of one shape family next to each other and those of one size
    nearest."""
    families: dict[tuple[Any, ...], list[tuple[int, Trial]]] = {}
    for trial in trials:
        config = trial.load_config()
        shape = shape_of(trial.ref, config)
        families.setdefault((trial.ref, shape.family, shape.input_shape, shape.outputs), []).append(
            (shape.p, trial)
        )
    batches = []
    for members in families.values():
        members.sort(key=lambda member: -member[0])
        size = 1 if isinstance(load(members[0][1].ref), LanguageTask) else TOGETHER
        batches += [
            Batch((tuple(t for _, t in members[i : i + size]),))
            for i in range(0, len(members), size)
        ]
    return batches


def _new_row(row: dict[str, Any], columns: dict[str, Any]) -> dict[str, Any]:
    """The old row with everything measured anew; where and how it was trained stays as it was."""
    measured = columns["_measured"]
    return {
        **row,
        **dict.fromkeys(MEASURED),
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
