"""`unilaw selftest`: known truths, planted and judged."""

import typer

from harness.exit_codes import ExitCode
from harness.terminal.options import AsJson, Draws, OneDesign, SelftestPage, SelftestSeed
from harness.terminal.streams import say


def selftest(
    draws: Draws = 50,
    only: OneDesign = None,
    seed: SelftestSeed = 1,
    as_json: AsJson = False,
    page: SelftestPage = None,
) -> None:
    """Plant known truths in simulated stores and count how often the report states them. Exits with
    1 when a stated rate is broken."""
    from reports.selftest.command import selftest as run_selftest

    outcome = run_selftest(draws, only, seed, page, say)
    typer.echo(outcome.as_json if as_json else outcome.as_text)
    if outcome.broken:
        raise typer.Exit(ExitCode.FAILED)
