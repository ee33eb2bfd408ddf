"""`unilaw suggest`: the next trials of a store, or runs of a table, that make an exponent surer."""

from pathlib import Path
from typing import Annotated

import typer

from harness.commands.budgets import SECONDS, amount_and_unit
from harness.errors import UserError
from harness.store.user_files import refuse_taken, write_new
from harness.terminal.fit_options import Columns, RowsWhere
from harness.terminal.options import AsJson, ReadSources, TaskFile, of_file, of_text

TABLES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet")
"""How the names of tables end. Every file is a table, and every folder a store."""

Source = Annotated[
    str,
    typer.Argument(
        metavar="STORE|TABLE",
        help="A store that `unilaw run` wrote (a folder, s3://… or gs://…), or a CSV, TSV,"
        " JSON or Parquet file with a row for each run.",
        callback=of_text,
    ),
]

Narrow = Annotated[
    str,
    typer.Option(
        metavar="EXPONENT",
        help="A kind's name, for its slope of stability; alpha, beta or compute, for the loss of"
        " text-stream rows or of a table; frontier-constant, frontier-d or frontier-p, for searches"
        " for the most robust fit.",
    ),
]

Budget = Annotated[
    str,
    typer.Option(
        metavar="COST",
        help="For a store: time on this machine's cores, or FLOPs: 2h, 1e18FLOP. For a table:"
        " FLOPs: 1e21.",
    ),
]

NextSweep = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE.yaml",
        help="Where the sweep file of a store goes; default: standard output.",
        callback=of_file,
    ),
]


def suggest(
    source: Source,
    narrow: Narrow,
    budget: Budget,
    output: NextSweep = None,
    task_file: TaskFile = None,
    read_sources: ReadSources = False,
    columns: Columns = None,
    where: RowsWhere = None,
    as_json: AsJson = False,
) -> None:
    """Choose the runs that narrow an exponent most for their cost: of a store as a sweep file, of a
    table as a list."""
    if _is_table(source):
        _refuse(source, "a store", {"--task-file": task_file, "--read-sources": read_sources})
        if output is not None:
            raise UserError(
                f"-o '{output}': no sweep file can be written for the table '{source}', because"
                " unilaw cannot train its models; --json prints the runs"
            )
        _runs(source, narrow, budget, columns or [], where or [], as_json)
    else:
        _refuse(source, "a table", {"--columns": columns, "--where": where, "--json": as_json})
        _sweep(source, narrow, budget, output, task_file, read_sources)


def _is_table(source: str) -> bool:
    path = Path(source)
    return "://" not in source and (
        path.is_file() or (path.suffix.lower() in TABLES and not path.is_dir())
    )


def _refuse(source: str, kind: str, options: dict[str, object]) -> None:
    """Raise UserError for an option that only the other kind of source has."""
    for name, given in options.items():
        if given:
            other = "a table" if kind == "a store" else "a store"
            raise UserError(f"{name}: only for {kind}, and '{source}' is {other}")


def _runs(
    table: str, narrow: str, budget: str, columns: list[str], where: list[str], as_json: bool
) -> None:
    from reports.suggest.table_runs import suggest_runs
    from reports.suggest.table_words import in_json, in_words

    found = suggest_runs(table, narrow, flops_of(budget), columns, where)
    typer.echo(in_json(found) if as_json else in_words(found))


def flops_of(text: str) -> float:
    """Return the budget for a table, in FLOPs. Raise UserError for another text."""
    amount, unit = amount_and_unit(text)
    if not amount:
        raise UserError(
            f"--budget {text[:60]!r}: for a table it must be a positive number of FLOPs, as in 1e21"
        )
    if unit in SECONDS:
        raise UserError(
            f"--budget {text[:60]!r}: a duration, but unilaw does not know the machine that a"
            " table's models train on; give FLOPs, as in 1e21"
        )
    return amount


def _sweep(
    store: str,
    narrow: str,
    budget: str,
    output: Path | None,
    task_file: Path | None,
    read_sources: bool,
) -> None:
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
