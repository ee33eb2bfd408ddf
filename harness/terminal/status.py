"""How far a store has come, by task: done, failed by kind, left."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.errors import strip_control_chars
from harness.store.index import IDENTITY
from harness.store.latest import newest
from harness.store.store import Store
from harness.terminal.table import table


class TaskStatus(NamedTuple):
    """Trials of one task that some sweep in the store asked for, or that have rows."""

    task: str
    done: int
    failed: Counter[str]
    left: int


class Status(NamedTuple):
    tasks: list[TaskStatus]
    rows: int
    problems: list[str]


def status(store: Store) -> Status:
    """Count the latest view against what the sweeps recorded in the store asked for."""
    contents = store.read(IDENTITY)
    view = contents.rows[["trial_id", "task", "status", "failure_kind"]].iloc[newest(contents.rows)]
    outcome = view["failure_kind"].where(view["status"].eq("failed"), "ok")
    counted = view.groupby([view["task"], outcome]).size().reset_index().itertuples(index=False)
    counts = {(str(task), str(kind)): int(count) for task, kind, count in counted}
    sweeps = store.sweeps()  # a trial may be in several
    ids, tasks_asked = (
        [i for sweep in sweeps for i in sweep.trials],
        [task for sweep in sweeps for task in sweep.trials.values()],
    )
    known = pc.SetLookupOptions(pa.array(view["trial_id"], pa.string()))
    seen = pc.call_function("is_in", [pa.array(ids, pa.string())], known).to_numpy(
        zero_copy_only=False
    )
    left = Counter({ids[i]: tasks_asked[i] for i in np.flatnonzero(~seen)}.values())
    tasks = []
    for task in sorted({task for task, _ in counts} | set(left)):
        failed = Counter(
            {kind: count for (its, kind), count in counts.items() if its == task and kind != "ok"}
        )
        tasks.append(TaskStatus(task, counts.get((task, "ok"), 0), failed, left[task]))
    return Status(tasks, len(contents.rows), contents.problems)


def status_table(status: Status) -> str:
    """Done, failed and left, by task."""
    if not status.tasks:
        lines = ["no trials yet"]
    else:
        rows = [
            (
                t.task,
                t.done,
                sum(t.failed.values()),
                ", ".join(f"{n} {k}" for k, n in sorted(t.failed.items())),
                t.left,
            )
            for t in status.tasks
        ]
        tasks = status.tasks
        done, failed, left = (
            sum(counts)
            for counts in zip(*((t.done, t.failed.total(), t.left) for t in tasks), strict=True)
        )
        rows.append(("all", done, failed, "", left))
        lines = [
            table(("task", "done", "failed", "kinds", "left"), rows),
            f"{status.rows} rows, one per attempt",
        ]
    return "\n".join([*lines, *map(strip_control_chars, status.problems)])
