"""Name the sweep files that the page offers, so that its commands work for whoever downloads them.

    for name, sweep in zip(file_stems(sweeps), sweeps): f"unilaw run {name}.yaml"

The maker's own paths would be of no use to a reader, and tell where the maker works.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

from harness.store.records import SweepRecord


def file_stems(sweeps: Sequence[SweepRecord]) -> list[str]:
    """Return a file name without ending for each sweep: its name, with a hash where the store has
    several sweep files or task files of that name."""
    contents: dict[str, set[tuple[str, str | None]]] = {}
    for sweep in sweeps:
        contents.setdefault(sweep.name, set()).add((sweep.text, sweep.task_source))
    return [
        sweep.name if len(contents[sweep.name]) == 1 else PurePosixPath(sweep.stem).name
        for sweep in sweeps
    ]
