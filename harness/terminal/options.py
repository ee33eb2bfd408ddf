"""Arguments and options of the `unilaw` command: names on the command line, and help."""

from pathlib import Path
from typing import Annotated

import typer

import harness
from harness.sweeps.bounds import MAX_CPUS, MAX_POINTS
from harness.sweeps.user_paths import user_path
from harness.terminal.completion import design_names, sweep_names

MAX_DRAWS = 100_000
MAX_SEED = 2**32 - 1


def of_text(where: str | None) -> str | None:
    return None if where is None else user_path(where)


def of_file(where: Path | None) -> Path | None:
    return None if where is None else Path(user_path(str(where)))


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"unilaw {harness.__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
]

SweepArgument = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP",
        help="A sweep file, or the name of a shipped sweep.",
        callback=of_text,
        autocompletion=sweep_names,
    ),
]

StoreArgument = Annotated[
    str,
    typer.Argument(
        metavar="STORE",
        help="A store that `unilaw run` wrote: a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX.",
        callback=of_text,
    ),
]

CompactSource = Annotated[str, typer.Argument(metavar="SRC", help="A store.", callback=of_text)]

CompactTarget = Annotated[
    str,
    typer.Argument(
        metavar="DST",
        help="A folder, or a prefix of a bucket, that does not exist yet.",
        callback=of_text,
    ),
]

TaskFile = Annotated[
    Path | None,
    typer.Option(
        "--task-file",
        metavar="FILE.py",
        help="A file that defines further tasks.",
        callback=of_file,
    ),
]

RayAddress = Annotated[
    str | None, typer.Option(metavar="ADDR", help="A running Ray cluster: auto or HOST:PORT.")
]

JobServer = Annotated[
    str, typer.Option(metavar="URL", help="A Ray cluster's job server, http://HEAD:8265.")
]

Inline = Annotated[
    bool,
    typer.Option(
        "--inline",
        help="Run in this process, without Ray; for debugging. A trial that crashes, or ends its"
        " process, takes the run with it, and the next command says so.",
    ),
]

RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Run every failed trial again, whatever its kind.")
]

RowStore = Annotated[
    str | None,
    typer.Option(
        metavar="STORE",
        help="Where rows go: a folder, s3://… or gs://…; default: the sweep file's store.",
        callback=of_text,
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

CheckOnly = Annotated[
    bool,
    typer.Option(
        "--check", help="Check the sweep, the store's address and the cluster, and submit nothing."
    ),
]

JobArgument = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP|ID",
        help="A sweep file, a shipped sweep's name, or the id that `launch` printed.",
        autocompletion=sweep_names,
    ),
]

Points = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        max=MAX_POINTS,
        help="Number of held-out points; default: the instruments' own.",
    ),
]

Cpus = Annotated[
    int,
    typer.Option(metavar="N", min=1, max=MAX_CPUS, help="CPU cores, and torch threads, per batch."),
]

Gpus = Annotated[
    float,
    typer.Option(metavar="N", min=0, help="GPUs per batch; a fraction below 1 shares one."),
]

AllCells = Annotated[bool, typer.Option("--all", help="Every cell, of however many.")]

ReadSources = Annotated[
    bool,
    typer.Option(
        "--read-sources",
        help="Also trials whose rows name files, or data of the Hub: read what they name. Only for"
        " a store whose writer you trust.",
    ),
]

Again = Annotated[
    bool, typer.Option("--again", help="Also measure trials that have today's measures.")
]

Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Say nothing but the result, and what ends the command."),
]

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable.")]

Draws = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, max=MAX_DRAWS, help="Simulated stores for each design and truth."
    ),
]

OneDesign = Annotated[
    str | None,
    typer.Option(
        "--only",
        metavar="DESIGN",
        help="One design, by the name of its sweep.",
        autocompletion=design_names,
    ),
]

SelftestSeed = Annotated[
    int,
    typer.Option("--seed", metavar="N", min=0, max=MAX_SEED, help="Of the simulated stores."),
]

SelftestPage = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE.md",
        help="Also write the table as a Markdown page.",
        callback=of_file,
    ),
]
