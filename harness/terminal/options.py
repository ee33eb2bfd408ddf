"""Arguments and options of the `unilaw` command: names on the command line, and help."""

from pathlib import Path
from typing import Annotated

import typer

SweepArgument = Annotated[
    str, typer.Argument(metavar="SWEEP", help="A sweep file, or the name of a shipped sweep.")
]

StoreArgument = Annotated[
    str,
    typer.Argument(
        metavar="STORE",
        help="A store that `unilaw run` wrote: a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX.",
    ),
]

TaskFile = Annotated[
    Path | None,
    typer.Option("--task-file", metavar="FILE.py", help="A file that defines further tasks."),
]

RayAddress = Annotated[
    str | None, typer.Option(metavar="ADDR", help="A running Ray cluster: auto or HOST:PORT.")
]

JobServer = Annotated[
    str, typer.Option(metavar="URL", help="A Ray cluster's job server, http://HEAD:8265.")
]

Inline = Annotated[
    bool, typer.Option("--inline", help="Run in this process, without Ray; for debugging.")
]

RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Run every failed trial again, whatever its kind.")
]

RowStore = Annotated[
    str | None,
    typer.Option(
        metavar="STORE",
        help="Where rows go: a folder, s3://… or gs://…; default: the sweep file's store.",
    ),
]

RowStoreOfJob = Annotated[
    str | None,
    typer.Option(metavar="URI", help="s3://…, gs://… or an absolute path on the head."),
]

OneTrial = Annotated[
    str | None,
    typer.Option(metavar="ID", help="Run only the trial with this id (or its beginning)."),
]

Detach = Annotated[bool, typer.Option("--detach", help="Print the job's id and leave it running.")]

JobArgument = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP|ID",
        help="A sweep file, a shipped sweep's name, or the id that `launch` printed.",
    ),
]

Points = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="Number of held-out points; default: the instruments' own."
    ),
]

Again = Annotated[
    bool, typer.Option("--again", help="Also measure trials that have today's measures.")
]
