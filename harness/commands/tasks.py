"""`unilaw tasks`: what can be swept."""

import json
from typing import Annotated

import typer

from harness.commands.task_files import refs_of
from harness.terminal.completion import task_names
from harness.terminal.options import AsJson, TaskFile

OneTask = Annotated[
    str | None,
    typer.Argument(metavar="[TASK]", help="This task's fields alone.", autocompletion=task_names),
]


def tasks(task: OneTask = None, task_file: TaskFile = None, as_json: AsJson = False) -> None:
    """What can be swept: each task's configuration fields, and every column it reports."""
    from harness.terminal.listing import listing, listing_as_json, task_entries

    entries = task_entries(refs_of(task_file), task)
    if as_json:
        typer.echo(json.dumps(listing_as_json(entries), indent=1))
    else:
        typer.echo(listing(entries, with_columns=task is None))
