"""`unilaw measure STORE`: measure kept weights with today's instruments, without training again.

Each trial gets a new row: its old one with the measured columns replaced, a newer
`measures_version`, and when and by which code it was measured. Its data are read again from where
the row says. The old rows stay in the store, behind the new ones in the latest view. New rows go to
files of their own, which plain readers of the folder do not see.

A row may come from anybody, so files and the Hub are read only for a user who asks for it.
"""

import json
import re
from collections import Counter, deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from harness.errors import SHARED_KINDS, UserError
from harness.execution.trial_result import TrialResult
from harness.interruption import interruptions
from harness.measures.counts import params_per_number
from harness.planning.resolved import ResolvedTrial, resolve
from harness.run import results
from harness.store import provenance
from harness.store.latest import latest
from harness.store.rules import RULES
from harness.store.schema import (
    MEASURES_VERSION,
    SCHEMA_VERSION,
    Columns,
    arrow_schema,
    measured_columns,
)
from harness.store.store import IDENTITY, Store
from harness.store.under_way import UnderWay, say_cut_off
from harness.sweeps.installed import installed
from harness.sweeps.messages import show
from harness.sweeps.point_counts import PointCounts
from harness.sweeps.registry import TaskRef, load
from harness.sweeps.sweep import Limits, Resources
from harness.sweeps.trial import Batch, RunSettings, Trial
from harness.terminal.progress import Progress

MEASURED = measured_columns()

MOST_NAMED = 5
"""Sources that the sentence about skipped trials names."""

TOGETHER = 16
"""Trials measured in one batch, as one stack where their models allow it."""


class Remeasured(NamedTuple):
    """Counts of trials: with new rows; with today's measures already; without kept weights; and
    those that could not be measured, by kind of failure."""

    measured: int
    current: int
    without_weights: int
    failed: Counter[str]


@interruptions()
def remeasure(
    store: Store,
    refs: Mapping[str, TaskRef],
    resources: Resources,
    points: int | None,
    address: str | None,
    inline: bool,
    again: bool,
    read_sources: bool,
    progress: Progress,
) -> Remeasured:
    """Measure every finished trial whose weights were kept and whose measures are older than
    today's (`again`: all of them), on `points` held-out points.

    Trials whose rows name files or the Hub are skipped unless `read_sources` is true. Tasks of a
    task file must be given in `refs`: the copy in a store is never run, as anybody may have written
    it. Raises UserError when a task is not known.
    """
    say_cut_off(store.files, None, progress.say)
    outdated = _outdated(store, again, progress)
    trials, failed = _trials(outdated.rows, refs, read_sources, progress)

    gpus = float(resources.gpus)
    queue = deque(_batches(trials, gpus))
    progress.start(
        dict.fromkeys((t.trial_id for t in trials), 1.0),
        finished_before=outdated.current,
        given_up=0,
        batches=[[t.trial_id for t in batch.trials] for batch in queue],
        forecast=None,
    )

    measured = 0
    settings = RunSettings(
        cpus=resources.cpus,
        gpus=gpus,
        seconds=Limits().seconds_per_trial,
        weights_bytes=0,
        measure_points=points or PointCounts().plain,
        checkpoints=None,
        trained=store.weights(),
    )
    under_way = UnderWay(store.files, None)
    # No name for the generator: an error that leaves the loop closes it at once, which cancels what
    # is in flight.
    for batch, batch_results in (
        results(queue, resources, settings, address, inline, under_way, progress) if queue else ()
    ):
        lost = any(result.failure_kind in SHARED_KINDS for result in batch_results)
        if lost and len(batch.trials) > 1:
            queue.extend(batch.halves())
            continue

        new_rows = []
        to_show = []
        for trial, result in zip(batch.trials, batch_results, strict=True):
            row = outdated.rows[trial.trial_id]
            kind, message = _failure(row, result)
            to_show.append((trial, kind, message))
            if kind:
                failed[kind] += 1
            else:
                new_rows.append(_new_row(row, result, store))
        if new_rows:
            store.append(new_rows, again=True)
        for sentence in store.left_out():
            progress.say(sentence)
        measured += len(new_rows)

        for trial, kind, message in to_show:  # last: a display that fails costs no row
            progress.advance(trial, kind, message)
        progress.entered()
    progress.stop()
    return Remeasured(measured, outdated.current, outdated.without_weights, failed)


class _Outdated(NamedTuple):
    """The rows to measure again, by trial id, and how many of the others there are."""

    rows: dict[str, Columns]
    current: int
    without_weights: int


def _outdated(store: Store, again: bool, progress: Progress) -> _Outdated:
    contents = store.read(IDENTITY)  # so that nothing to do takes no time
    for problem in contents.problems:
        progress.say(problem)

    newest = latest(contents.rows)
    ok = newest[newest["status"] == "ok"]
    old = ok if again else ok[ok["measures_version"] < MEASURES_VERSION]
    kept = old[old["weights_file"].notna()]

    rows = []
    if len(kept):
        whole = latest(store.read().rows)
        rows = _plain(whole[whole["trial_id"].isin(kept["trial_id"])])
    return _Outdated(
        rows={row["trial_id"]: row for row in rows},
        current=len(ok) - len(old),
        without_weights=len(old) - len(kept),
    )


def _plain(rows: pd.DataFrame) -> list[Columns]:
    """Return rows as the store takes them: None for what is null, lists as lists."""
    return pa.Table.from_pandas(rows, schema=arrow_schema(), preserve_index=False).to_pylist()


def _trials(
    rows: Mapping[str, Columns],
    refs: Mapping[str, TaskRef],
    read_sources: bool,
    progress: Progress,
) -> tuple[list[Trial], Counter[str]]:
    """Return the trials of the rows, and the count of those that cannot be made again or are
    skipped."""
    trials = []
    failed: Counter[str] = Counter()
    not_read: dict[str, None] = {}
    for row in rows.values():
        trial = _trial(row, refs)
        if isinstance(trial, str):
            failed["unknown"] += 1
            progress.say(f"cannot be measured: {trial}")
            continue

        sources = load(trial.ref).reads(trial.load_config())
        if sources and not read_sources:
            failed["source"] += 1
            not_read |= dict.fromkeys(sources)
            continue
        trials.append(trial)

    if not_read:
        progress.say(_skipped(failed["source"], list(not_read)))
    return trials, failed


def _skipped(trials: int, sources: list[str]) -> str:
    """Return the sentence about trials whose sources are not read."""
    named = ", ".join(map(show, sources[:MOST_NAMED]))
    if len(sources) > MOST_NAMED:
        named += f" and {len(sources) - MOST_NAMED} more"
    return (
        f"{trials} trials are skipped because their rows name {named}, and anybody may have written"
        " these rows: --read-sources reads what they name"
    )


def _trial(row: Columns, refs: Mapping[str, TaskRef]) -> Trial | str:
    """Return the trial of a row, or why it cannot be made again. Its id is the row's own: how ids
    are made may have changed since. Raises UserError when the row's task is not installed."""
    name = row["task"]
    trial_id = row["trial_id"]
    if not re.fullmatch(r"[0-9a-f]{16}", trial_id):  # it becomes part of file names
        return f"a row's trial id is {trial_id[:40]!r}, which is none"

    ref = refs.get(name) or (TaskRef(name) if name in installed() else None)
    if ref is None:
        raise UserError(
            f"the store has trials of the task '{name}', which is not installed; name its file with"
            " --task-file"
        )

    version = load(ref).version
    if version != row["task_version"]:
        return (
            f"{trial_id} is of version {row['task_version']} of the task '{name}', and here it is"
            f" {version}"
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


def _batches(trials: list[Trial], gpus: float) -> list[Batch]:
    """Return TOGETHER trials at a time, models of one shape family next to each other and those of
    similar size nearest. Trials that cannot be stacked go alone."""
    families: dict[tuple[Any, ...], list[ResolvedTrial]] = {}
    for trial in trials:
        resolved = resolve(trial)
        shape = resolved.shape
        family = (trial.ref, shape.family, shape.input_shape, shape.outputs)
        families.setdefault(family, []).append(resolved)

    batches = []
    for members in families.values():
        members.sort(key=lambda member: -member.shape.p)
        size = TOGETHER if members[0].task.stackable else 1
        for begin in range(0, len(members), size):
            stack = tuple(member.trial for member in members[begin : begin + size])
            batches.append(Batch((stack,), gpus))
    return batches


def _failure(row: Columns, result: TrialResult) -> tuple[str | None, str | None]:
    """Return the kind and the message of what stands against a new row; None and None when nothing
    does."""
    if result.failure_kind:
        return result.failure_kind, result.columns["failure_message"]
    if row["weights_sha256"] not in (None, result.columns["weights_sha256"]):
        return "weights", f"{row['weights_file']} does not hold the weights that it was trained to"
    if result.columns["data_hash"] != row["data_hash"]:
        return "data", "its data are not those it was trained on"
    return None, None


def _new_row(row: Columns, result: TrialResult, store: Store) -> Columns:
    """Return the old row with everything measured anew, and put its picture into the store. Where
    and how the trial was trained stays as it was."""
    columns = result.columns
    new_row = {
        **row,
        **{name: columns.get(name) for name in MEASURED},
        **params_per_number(row["p"], row["n"], row["d_ambient"], columns),
        "measure_s": columns["measure_s"],
        "measure_share": columns["measure_s"] / (row["train_s"] + columns["measure_s"]),
        "measures_version": MEASURES_VERSION,
        "rules": RULES.name,
        "measured_commit": provenance.of_code()["commit"],
        "measured_at": datetime.now(UTC),
        "measurement": 1 + _measurement(row),
        "finished_at": datetime.now(UTC),
        "schema_version": SCHEMA_VERSION,
    }
    if result.pictures:
        new_row |= store.keep_pictures(row["trial_id"], result.pictures)
    return new_row


def _measurement(row: Columns) -> int:
    """Return how often a trial's kept weights had been measured again when its row was written.
    Rows of schema version 8 and older do not say more than whether."""
    if row["measurement"] is None:
        return int(row["measured_at"] is not None)
    return row["measurement"]
