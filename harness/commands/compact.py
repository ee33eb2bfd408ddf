"""`unilaw compact`: a store with as few row files as there are sorts of rows."""

import typer

from harness.terminal.counts import counted
from harness.terminal.options import CompactSource, CompactTarget

NOW = ("no row file", "one file", "two files, one of rows measured again,")
"""What there is, by the number of row files."""


def compact(source: CompactSource, target: CompactTarget) -> None:
    """Copy a store into a new one with a single row file, and a second one where rows were measured
    again."""
    from harness.store.compact import compact as compact_store

    done = compact_store(source, target)
    rows = counted(done.rows, "row", "rows")
    files = counted(done.files, "file", "files")
    typer.echo(f"{rows} from {files}, now {NOW[done.files_now]} in {target}")
