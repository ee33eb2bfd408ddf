"""`unilaw suggest`: the next trials that make an exponent surer."""

from pathlib import Path
from typing import Annotated

import typer

from harness.store.user_files import refuse_taken, write_new
from harness.terminal.options import ReadSources, StoreArgument, TaskFile, of_file

Narrow = Annotated[
    str,
    typer.Option(
        metavar="EXPONENT",
        help="A kind's name, for its slope of stability; alpha, beta or compute, for the loss of"
        " text-stream rows.",
    ),
]

Budget = Annotated[
    str, typer.Option(metavar="COST", help="Time on this machine's cores, or FLOPs: 2h, 1e18FLOP.")
]

NextSweep = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE.yaml",
        help="Where the sweep file goes; default: standard output.",
        callback=of_file,
    ),
]


def suggest(
    store: StoreArgument,
    narrow: Narrow,
    budget: Budget,
    output: NextSweep = None,
    task_file: TaskFile = None,
    read_sources: ReadSources = False,
) -> None:
    """Write a sweep file of the trials that narrow an exponent most for their cost."""
    from harness.commands.suggested_sweep import suggested_sweep
    from harness.commands.task_files import refs_of
    from harness.terminal.streams import say

    if output is not None:
        refuse_taken(output)
    text = suggested_sweep(store, narrow, budget, refs_of(task_file), read_sources, say)
    if output is None:
        typer.echo(text.removesuffix("\n"))
        return
    write_new(output, text.encode())
    for line in text.splitlines():
        if line.startswith("# "):
            typer.echo(line.removeprefix("# "))
    typer.echo(f"sweep: {output}")
