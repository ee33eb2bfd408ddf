"""Count the trials of a store by task: done, failed by kind, and left."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from harness.errors import strip_control_chars
from harness.store.compact import advice
from harness.store.index import IDENTITY
from harness.store.latest import newest
from harness.store.records import SweepRecord, still_asked
from harness.store.replaced import COLUMNS, replaced
from harness.store.store import Store
from harness.store.under_way import cut_off
from harness.terminal.counts import counted
from harness.terminal.table import table

OK = "ok"
"""The outcome of a trial that did not fail."""


class TaskStatus(NamedTuple):
    """Trials of one task that some sweep in the store asked for, or that have rows."""

    task: str
    done: int
    failed: Counter[str]
    left: int


class Status(NamedTuple):
    """The status of every task, the rows of the store, what is wrong with it, and how it would open
    faster."""

    tasks: list[TaskStatus]
    rows: int
    problems: list[str]
    replaced: int = 0
    """Failed trials that are not counted because others have taken their place."""
    advice: tuple[str, ...] = ()
    last_ended: str | None = None
    """When the last trial ended, in UTC; None without rows."""


def status(store: Store) -> Status:
    """Count the latest row of every trial against the trials that the store's sweeps asked for."""
    contents = store.read(IDENTITY)
    latest = contents.rows[["trial_id", "task", "status", "failure_kind"]]
    latest = latest.iloc[newest(contents.rows)]

    sweeps = store.sweeps()
    over = _outdated(sweeps, latest) | _replaced(store, sweeps, latest)
    counts = _count(latest[~latest["trial_id"].isin(over)])
    left = _left(sweeps, latest)
    tasks = []
    for task in sorted({task for task, _ in counts} | set(left)):
        failed = Counter(
            {
                kind: count
                for (task_of_kind, kind), count in counts.items()
                if task_of_kind == task and kind != OK
            }
        )
        tasks.append(TaskStatus(task, counts.get((task, OK), 0), failed, left[task]))
    return Status(
        tasks,
        len(contents.rows),
        [*contents.problems, *map(str, cut_off(store.files))],
        replaced=len(over),
        advice=tuple(advice(store)),
        last_ended=_last_ended(contents.rows),
    )


def _last_ended(rows: pd.DataFrame) -> str | None:
    of_trials = rows["measurement"].fillna(0).eq(0)  # others tell when a trial was measured again
    ended = rows.loc[of_trials, "finished_at"].dropna()
    return None if ended.empty else f"{ended.max():%Y-%m-%d %H:%M:%S}"


def _outdated(sweeps: Sequence[SweepRecord], latest: pd.DataFrame) -> frozenset[str]:
    """Return the failed trials that a sweep has asked for and asks for no more: its text is the
    same, and its task's code, version or data have changed since, so that other trials take their
    place."""
    once_asked = {trial_id for sweep in sweeps for trial_id in sweep.trials}
    failed = set(latest.loc[latest["status"].eq("failed"), "trial_id"])
    return frozenset((failed & once_asked) - still_asked(sweeps))


def _replaced(store: Store, sweeps: Sequence[SweepRecord], latest: pd.DataFrame) -> frozenset[str]:
    """Return the failed trials that have run since under another id.

    Finding them takes columns that the index lacks, so the rows are read only where a sweep that
    asked for a failed trial was run again, under its name, and did not ask for that trial.
    """
    failed = set(latest.loc[latest["status"].eq("failed"), "trial_id"])
    asked: dict[str, list[set[str]]] = {}
    for sweep in sweeps:
        asked.setdefault(sweep.name, []).append(failed & sweep.trials.keys())
    if not any(set.union(*runs) - set.intersection(*runs) for runs in asked.values()):
        return frozenset()

    rows = store.read(COLUMNS).rows
    return replaced(rows.iloc[newest(rows)])


def _count(latest: pd.DataFrame) -> dict[tuple[str, str], int]:
    """Return the trials of each task by outcome: ok, or the kind of failure."""
    outcome = latest["failure_kind"].where(latest["status"].eq("failed"), OK)
    sizes = latest.groupby([latest["task"], outcome]).size().reset_index()
    return {
        (str(task), str(kind)): int(count) for task, kind, count in sizes.itertuples(index=False)
    }


def _left(sweeps: Sequence[SweepRecord], latest: pd.DataFrame) -> Counter[str]:
    """Return how many trials of each task are still asked for and have no row yet."""
    asked = still_asked(sweeps)
    task_of = {i: task for sweep in sweeps for i, task in sweep.trials.items() if i in asked}
    ids = list(task_of)  # each once: a trial may be in several sweeps

    # Arrow's lookup, because a store may hold a million trials
    with_rows = pc.SetLookupOptions(pa.array(latest["trial_id"], pa.string()))
    has_row = pc.call_function("is_in", [pa.array(ids, pa.string())], with_rows)
    missing = np.flatnonzero(~has_row.to_numpy(zero_copy_only=False))
    return Counter(task_of[ids[i]] for i in missing)


def status_table(status: Status) -> str:
    """Return the table of trials done, failed and left, by task."""
    if not status.tasks:
        lines = ["no trials yet"]
    else:
        rows = [
            (task.task, task.done, task.failed.total(), _kinds(task.failed), task.left)
            for task in status.tasks
        ]
        total = (
            "all",
            sum(task.done for task in status.tasks),
            sum(task.failed.total() for task in status.tasks),
            "",
            sum(task.left for task in status.tasks),
        )
        ended = f"; the last trial ended at {status.last_ended} UTC" if status.last_ended else ""
        cells = [*rows, total]
        head = ("task", "done", "failed", "kinds", "left")
        if not any(task.failed for task in status.tasks):
            head, cells = (*head[:3], "left"), [(*cell[:3], cell[4]) for cell in cells]
        lines = [
            table(head, cells),
            f"{counted(status.rows, 'row', 'rows')}, one for each attempt of a trial and each"
            f" repeated measurement{ended}",
        ]
    if status.replaced:
        lines.append(
            f"not counted: {status.replaced} earlier failures, whose trials have been replaced by"
            " those of a newer version of their task or data"
        )
    return "\n".join([*lines, *map(strip_control_chars, [*status.problems, *status.advice])])


def status_as_json(status: Status) -> dict[str, Any]:
    """Return the status as plain values, under the names of its fields."""
    tasks = [{**task._asdict(), "failed": dict(task.failed)} for task in status.tasks]
    return {**status._asdict(), "tasks": tasks}


def _kinds(failed: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(failed.items()))
