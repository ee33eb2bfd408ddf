"""The file that --task-file names, as the engine wants it."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.sweeps.registry import TaskRef


def refs_of(task_file: Path | None) -> "dict[str, TaskRef]":
    """Return the tasks that a --task-file defines, by name; none without a file."""
    if task_file is None:
        return {}

    from harness.sweeps.registry import refs_in

    return refs_in(task_file)
