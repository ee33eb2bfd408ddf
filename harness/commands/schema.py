"""`unilaw schema`: the sweep file, for editors."""

import json

import typer

from harness.commands.task_files import refs_of
from harness.terminal.options import TaskFile


def schema(task_file: TaskFile = None) -> None:
    """JSON Schema of the sweep file, for editors."""
    from harness.sweeps.editor_schema import sweep_schema

    typer.echo(json.dumps(sweep_schema(refs_of(task_file)), indent=1))
