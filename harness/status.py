"""How far a store has come, by task: done, failed by kind, left."""

from collections import Counter
from typing import NamedTuple

from harness.store import Store, latest


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
    contents = store.read()
    newest = latest(contents.rows)
    asked = {trial_id: task for sweep in store.sweeps() for trial_id, task in sweep.trials.items()}
    known = set(newest["trial_id"])
    left = Counter(task for trial_id, task in asked.items() if trial_id not in known)
    tasks = []
    for task in sorted(set(newest["task"]) | set(left)):
        mine = newest[newest["task"] == task]
        failed = Counter(mine.loc[mine["status"] == "failed", "failure_kind"].tolist())
        tasks.append(TaskStatus(task, mine["status"].tolist().count("ok"), failed, left[task]))
    return Status(tasks, len(contents.rows), contents.problems)
