"""`unilaw fit`: scaling forms fitted to anybody's table."""

import typer

from harness.terminal.fit_options import (
    Budget,
    Cluster,
    Columns,
    Delta,
    FitFile,
    Forms,
    Loss,
    Lowest,
    Residual,
    RowsWhere,
    TableArgument,
)
from harness.terminal.options import AsJson


def fit(
    table: TableArgument,
    form: Forms = None,
    columns: Columns = None,
    cluster: Cluster = None,
    budget: Budget = None,
    where: RowsWhere = None,
    lowest: Lowest = False,
    loss: Loss = "huber",
    delta: Delta = 1e-3,
    residual: Residual = "log",
    as_json: AsJson = False,
    output: FitFile = None,
) -> None:
    """Fit scaling forms to a table of sizes and losses, and judge them by its largest runs."""
    from reports.scaling.table_fit import fit_table
    from reports.scaling.written import as_json as in_json
    from reports.scaling.written import refuse_name, written

    if output is not None:
        refuse_name(output)
    fitted = fit_table(
        table,
        form or (),
        columns or (),
        cluster,
        budget,
        where or (),
        loss,
        delta,
        residual,
        lowest,
    )
    typer.echo(in_json(fitted) if as_json else str(fitted))
    if output is not None:
        typer.echo(f"fit: {written(fitted, output)}", err=as_json)
