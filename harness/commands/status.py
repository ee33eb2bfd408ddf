"""`unilaw status`: how far a store is."""

import json
import sys
import time
from typing import Annotated

import typer

from harness.terminal.options import AsJson, StoreArgument
from harness.terminal.streams import say

Watch = Annotated[
    bool,
    typer.Option(
        "--watch", "-w", help="Look again and again, until no trial is left or Ctrl-C, and exit 0."
    ),
]

Every = Annotated[
    float,
    typer.Option("--every", metavar="S", min=0.5, max=86_400, help="Seconds between two looks."),
]


def status(
    store: StoreArgument, as_json: AsJson = False, watch: Watch = False, every: Every = 5.0
) -> None:
    """Trials done, failed and left, by task and kind of failure."""
    from harness.store.store import Store
    from harness.terminal.status import status as store_status
    from harness.terminal.status import status_as_json, status_table
    from harness.terminal.watch import Shown
    from harness.terminal.watch import watch as watch_it

    opened = Store.open(store)  # once: it keeps what it has read of the sweeps

    def look() -> Shown:
        found = store_status(opened)
        if as_json:
            text = json.dumps(status_as_json(found), indent=None if watch else 1)
        else:
            text = status_table(found)
        left = sum(task.left for task in found.tasks)
        return Shown(text, is_over=bool(found.tasks) and not left)

    if not watch:
        typer.echo(look().text)
        return
    in_terminal = sys.stdout.isatty() and not as_json
    # failures apart from the lines of JSON, which a program reads
    watch_it(look, typer.echo, every, in_terminal, time.sleep, say if as_json else None)
