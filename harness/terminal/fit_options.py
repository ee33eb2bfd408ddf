"""Arguments and options of `unilaw fit`: names on the command line, and help."""

from pathlib import Path
from typing import Annotated

import typer

from harness.terminal.options import of_file, of_text

TableArgument = Annotated[
    str,
    typer.Argument(
        metavar="TABLE",
        help="A CSV, TSV, JSON or Parquet file with a row for each run, or a store.",
        callback=of_text,
    ),
]

Forms = Annotated[
    list[str] | None,
    typer.Option(
        "--form",
        metavar="FORM",
        help="The form whose parameters are wanted, such as chinchilla; docs/fitting.md lists them."
        " May be given again. Default: of all that the columns allow, the one that foresees the"
        " largest runs best.",
    ),
]

Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="N=COLUMN,D=COLUMN,L=COLUMN",
        help="Which column is which: N parameters, D tokens, U distinct tokens, C training FLOPs, X"
        " any one size, L the loss, Y another measure; ln(COLUMN) is a logarithm. Default: by their"
        " usual names.",
    ),
]

Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="What rows share that are not independent, such as the model that checkpoints are of.",
    ),
]

Budget = Annotated[
    str | None,
    typer.Option(
        metavar="FLOPS|COLUMN",
        help="Also the best parameters and tokens for this many training FLOPs, or for the most in"
        " this column.",
    ),
]

RowsWhere = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="COLUMN=VALUE",
        help="Only rows with this value; also !=, <, <=, > and >= (in quotes), and several values"
        " as COLUMN=A,B. May be given again.",
    ),
]

Lowest = Annotated[
    bool,
    typer.Option(
        "--lowest",
        help="Only the row of the lowest measure at each point (each N and D, or X), as laws of"
        " tuned runs are fitted.",
    ),
]

Loss = Annotated[
    str, typer.Option(metavar="LOSS", help="What is summed over residuals: huber or squared.")
]

Delta = Annotated[
    float,
    typer.Option(metavar="δ", help="Of Huber's loss: residuals beyond it count by absolute value."),
]

Residual = Annotated[
    str,
    typer.Option(
        metavar="KIND", help="Residuals of logarithms, or in the measure's own unit: log or linear."
    ),
]

FitFile = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Also write FILE.html, .md or .json, or the picture as .svg or .png.",
        callback=of_file,
    ),
]
