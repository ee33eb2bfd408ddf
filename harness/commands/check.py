"""`unilaw check`: a task file, tried before it is swept."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import strip_control_chars
from harness.exit_codes import ExitCode
from harness.terminal.options import of_file

if TYPE_CHECKING:
    from harness.execution.task_check import Finding

FileToCheck = Annotated[
    Path,
    typer.Argument(metavar="FILE.py", help="A file that defines tasks.", callback=of_file),
]


def check(file: FileToCheck) -> None:
    """Try every task of a file at its default configuration: data, model, one training step. Exits
    with 2 when a check failed."""
    from harness.terminal.progress import Progress

    progress = Progress()
    progress.loading(f"trying {file}")
    try:
        from harness.execution.check_file import check_file

        found = list(check_file(file))
    finally:
        progress.stop()

    failed = False
    for name, findings in found:
        typer.echo(_findings_table(name, findings))
        failed = failed or any(finding.sign == "✗" for finding in findings)
    if failed:
        raise typer.Exit(ExitCode.BAD_INPUT)


def _findings_table(name: str, findings: "Sequence[Finding]") -> str:
    """Return a line per check with its sign, the lines of the file that raised, and the sums."""
    from harness.terminal.table import table

    rows = [(found.sign, found.check, found.sentence) for found in findings]
    parts = [f"{name}:", table(("", "check", "what was found"), rows)]
    for found in findings:
        if found.traceback:
            parts.append(f"{found.check} {found.sign}\n{textwrap.indent(found.traceback, '  ')}")

    signs = Counter(found.sign for found in findings)
    sums = [f"{signs['✓']} of {len(findings)} checks passed"]
    sums += [f"{signs['!']} with a doubt"] if signs["!"] else []
    sums += [f"{signs['✗']} failed"] if signs["✗"] else []
    sums += [f"{signs['–']} not tried"] if signs["–"] else []
    return strip_control_chars("\n".join([*parts, ", ".join(sums)]))
