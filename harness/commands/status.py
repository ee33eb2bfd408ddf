"""`unilaw status`: how far a store is."""

import typer

from harness.terminal.options import StoreArgument


def status(store: StoreArgument) -> None:
    """Trials done, failed and left, by task and kind of failure."""
    from harness.store.store import Store
    from harness.terminal.status import status as store_status
    from harness.terminal.status import status_table

    typer.echo(status_table(store_status(Store.open(store))))
