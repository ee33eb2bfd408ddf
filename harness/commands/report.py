"""`unilaw report`: from rows to one file: a page, sentences, figures or a table."""

import typer

from harness.terminal.report_options import (
    Against,
    Compare,
    Figures,
    ReportFile,
    ReportFormat,
    StoresArgument,
    Where,
)


def report(
    stores: StoresArgument,
    output: ReportFile = None,
    format: ReportFormat = None,
    where: Where = None,
    compare: Compare = False,
    figures: Figures = None,
    against: Against = None,
) -> None:
    """Fit the rows and write one file: a self-contained page, or Markdown, JSON or CSV."""
    from reports.command import make_report

    typer.echo(make_report(stores, output, format, where or (), compare, figures, against))
