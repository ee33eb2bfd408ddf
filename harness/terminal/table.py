"""A table as text: for a terminal as wide as that is, elsewhere wide enough for most."""

import io
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.errors import strip_control_chars

PLAIN_WIDTH = 200


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Cells as text, columns side by side under their heads."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(head):
        made.add_column(name, overflow="fold", no_wrap=i == 0)
    for row in rows:
        made.add_row(*(strip_control_chars(str(v)).replace("[", r"\[") for v in row))
    terminal = sys.stdout.isatty()
    console = Console(
        file=io.StringIO(),
        width=shutil.get_terminal_size().columns if terminal else PLAIN_WIDTH,
        force_terminal=terminal,
    )
    console.print(made)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())  # pyright: ignore[reportAttributeAccessIssue]
