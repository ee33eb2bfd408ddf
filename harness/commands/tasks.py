"""`unilaw tasks`: what can be swept."""

import typer

from harness.commands.task_files import refs_of
from harness.terminal.options import TaskFile


def tasks(task_file: TaskFile = None) -> None:
    """What can be swept: each task's configuration fields, and every column it reports."""
    from harness.terminal.listing import listing

    typer.echo(listing(refs_of(task_file)))
