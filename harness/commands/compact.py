"""`unilaw compact`: a store as one row file."""

import typer

from harness.terminal.options import CompactSource, CompactTarget


def compact(source: CompactSource, target: CompactTarget) -> None:
    """Copy a store into a new one with a single row file."""
    from harness.store.compact import compact as compact_store

    files, rows = compact_store(source, target)
    typer.echo(f"{rows} rows from {files} files, now one file in {target}")
