"""Lay out a table as text: as wide as the terminal, elsewhere wide enough for most tables."""

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
    """Return the cells as text, columns side by side under their heads."""
    columns = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(head):
        columns.add_column(name, overflow="fold", no_wrap=i == 0)
    for row in rows:
        columns.add_row(*(_plain(value) for value in row))

    in_terminal = sys.stdout.isatty()
    text = io.StringIO()
    console = Console(
        file=text,
        width=shutil.get_terminal_size().columns if in_terminal else PLAIN_WIDTH,
        force_terminal=in_terminal,
    )
    console.print(columns)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _plain(value: Any) -> str:
    """Return a cell as text in which rich sees no markup."""
    return strip_control_chars(str(value)).replace("[", r"\[")
