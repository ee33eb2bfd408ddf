"""`unilaw report`: from rows to one HTML file."""

import typer

from harness.terminal.options import ReportFile, StoreArgument


def report(
    store: StoreArgument,
    output: ReportFile = None,
) -> None:
    """Fit the rows and write one self-contained HTML file."""
    from reports.page import write_report

    typer.echo(f"report: {write_report(store, output)}")
