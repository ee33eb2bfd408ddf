"""Options of `unilaw run` for the sweep that a report's page carries."""

from pathlib import Path
from typing import Annotated

import typer

from harness.errors import UserError
from harness.terminal.completion import sweep_names
from harness.terminal.options import of_file, of_text

SweepOrNone = Annotated[
    str | None,
    typer.Argument(
        metavar="SWEEP",
        help="A sweep file, or the name of a shipped sweep; with --from, the name of one of the"
        " page's sweeps.",
        callback=of_text,
        autocompletion=sweep_names,
        show_default=False,
    ),
]

FromPage = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="PAGE.html",
        help="Run a sweep that this page of `unilaw report` carries. Rows go to"
        " runs/from-page/NAME.",
        callback=of_file,
    ),
]

ReadPagesSources = Annotated[
    bool,
    typer.Option(
        "--read-sources",
        help="With --from: read the files, or data of the Hub, that the page's sweep names. Only"
        " for a page whose maker you trust.",
    ),
]


def named_sweep(sweep: str | None, read_sources: bool) -> str:
    """Return the sweep that the command names without --from. Raise UserError where there is none,
    and for --read-sources."""
    if sweep is None:
        raise UserError(
            "Missing argument 'SWEEP': a sweep file, the name of a shipped sweep, or --from"
            " PAGE.html"
        )
    if read_sources:
        raise UserError("--read-sources goes with --from; your own sweep file's sources are read")
    return sweep
