"""Arguments and options of `unilaw report`: names on the command line, and help."""

from pathlib import Path
from typing import Annotated

import typer

from harness.sweeps.user_paths import user_path
from harness.terminal.options import of_file


def _of_texts(places: list[str]) -> list[str]:
    return [user_path(place) for place in places]


StoresArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="STORE...",
        help="A store that `unilaw run` wrote: a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX;"
        " of several, all rows in one report. The name of a suite, universal-v1, stands for its"
        " reference rows.",
        callback=_of_texts,
    ),
]

ReportFile = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="FILE.html, .md, .json or .csv. Default: STORE/_report.html; other formats go to"
        " standard output.",
        callback=of_file,
    ),
]

ReportFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="html: the page. md: answer, slopes and claims. json: all fits, verdicts and claims."
        " csv: one row per trial. Default: by FILE, else html.",
    ),
]

Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="FIELD=VALUE",
        help="Only trials with this value of a column or of a configuration's field; also !=, <,"
        " <=, > and >= (in quotes), and several values as FIELD=A,B. May be given again.",
    ),
]

Compare = Annotated[
    bool,
    typer.Option(
        "--compare",
        help="Of two stores: also say what changed from the first to the second, and whether beyond"
        " noise.",
    ),
]

Against = Annotated[
    str | None,
    typer.Option(
        metavar="SUITE",
        help="Also say whether the rows agree within noise with the reference rows of a suite:"
        " universal-v1.",
    ),
]

Figures = Annotated[
    Path | None,
    typer.Option(
        "--figures",
        metavar="DIR",
        help="Also write each chart of the page as SVG and PDF, for papers.",
        callback=of_file,
    ),
]
