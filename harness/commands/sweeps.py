"""`unilaw sweeps` lists the shipped sweeps; `unilaw sweeps copy NAME` copies one."""

from pathlib import Path
from typing import Annotated

import typer

from harness.terminal.completion import shipped_names
from harness.terminal.options import of_file

ShippedSweep = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A shipped sweep.", autocompletion=shipped_names),
]

Target = Annotated[
    Path | None,
    typer.Argument(
        metavar="[PATH]", help="A new file, or a folder; default: NAME.yaml here.", callback=of_file
    ),
]

sweeps = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@sweeps.callback()
def shipped_sweeps(context: typer.Context) -> None:
    """List the shipped sweeps, or copy one to change it."""
    if context.invoked_subcommand is not None:
        return

    from harness.sweeps.shipped import summaries
    from harness.terminal.table import table

    typer.echo(table(("sweep", "what it is"), summaries().items()))


@sweeps.command()
def copy(name: ShippedSweep, path: Target = None) -> None:
    """Copy a shipped sweep to a file of your own. Nothing is overwritten."""
    from harness.sweeps.shipped import copy_shipped

    typer.echo(f"copied to {copy_shipped(name, path or Path())}")
