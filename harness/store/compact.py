"""Copy a store into one with a single row file, which opens faster."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.errors import UserError
from harness.store.folder import AT_ONCE
from harness.store.marker import write_marker
from harness.store.rows import Rows, read_rows
from harness.store.store import Store


def compact(source: str | Path, target: str | Path) -> tuple[int, int]:
    """Copy a store into a new one with a single row file. Return the number of row files before,
    and the number of rows.

    Every attempt is kept. The target is marked as a store only once everything is there; when it
    cannot be written, nothing of it remains. Raises UserError when the target exists, or when the
    source holds unreadable files, whose rows would be lost silently.
    """
    old = Store.open(source)
    new = Store(target)
    if new.files.there():
        raise UserError(f"the target '{target}' exists; compact writes a new store")

    rows = read_rows(old.files, old.files.entries())
    if rows.problems:
        raise UserError(f"'{source}' holds {rows.problems[0]}; move it out before compacting")

    try:
        _copy(old, rows, new)
    except UserError:
        new.files.clear()
        raise
    return rows.files, rows.table.num_rows


def _copy(old: Store, rows: Rows, new: Store) -> None:
    new.files.make()

    names = [*old.files.matching("_weights", "*"), *old.files.matching("_pictures", "*")]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda name: new.files.put(name, old.files.get(name)), names))

    for sweep in old.sweeps():
        new.put_sweep(sweep)
    for run in old.runs():
        new.put_run(run)

    if rows.table.num_rows:
        new.append_table(rows.table)
        new.index()

    # Last, so that a copy that was interrupted is not taken for a store.
    write_marker(new.files)
