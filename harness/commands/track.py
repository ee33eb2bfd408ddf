"""`unilaw track` and `unilaw share`: rows to an experiment tracker, or to a data set of the Hub."""

from typing import Annotated

import typer

from harness.terminal.counts import counted
from harness.terminal.options import StoreArgument

TrackerName = Annotated[
    str,
    typer.Option("--to", metavar="TRACKER", help="mlflow, wandb or trackio; it must be installed."),
]

Project = Annotated[
    str | None, typer.Option("--project", metavar="NAME", help="Default: the sweep's name.")
]

HubName = Annotated[
    str, typer.Option("--to", metavar="hub:USER/NAME", help="A data set; it is made if need be.")
]

WHERE = {
    "mlflow": "`mlflow ui`, in this folder, shows them, unless MLFLOW_TRACKING_URI names a server",
    "wandb": "they lie below ./wandb; `wandb sync wandb/offline-run-*` sends them on",
    "trackio": "`trackio show` shows them",
}
"""How to see the runs of each tracker."""

Public = Annotated[bool, typer.Option("--public", help="Anybody may read it; default: private.")]


def track(store: StoreArgument, to: TrackerName, project: Project = None) -> None:
    """Send each trial's newest row to an experiment tracker, as a run. Run it again to send
    only what is new."""
    from reports.trackers.push import push

    pushed = push(store, to, project)
    sent = counted(pushed.sent, "run", "runs")
    typer.echo(
        f"{sent} sent to {to}, project '{pushed.project}', {pushed.before} there"
        f" before{_withheld(pushed.withheld)}"
    )
    if pushed.sent:
        typer.echo(WHERE[to])


def share(store: StoreArgument, to: HubName, public: Public = False) -> None:
    """Put each trial's newest row into a data set of the Hugging Face Hub, private unless
    --public."""
    from reports.trackers.hub import share as share_rows

    shared = share_rows(store, to, public)
    who = "private" if shared.private else "public"
    if public and shared.private:
        who = "private as it was; its settings on the Hub can make it public"
    typer.echo(
        f"{counted(shared.rows, 'row', 'rows')} in {shared.url}, {who}{_withheld(shared.withheld)}"
    )


def _withheld(columns: dict[str, int]) -> str:
    """Return which values were not sent, for the end of a sentence."""
    if not columns:
        return ""
    named = ", ".join(f"{name} ({count})" for name, count in columns.items())
    return f"; not sent, because it looks like a path, a name of this machine or a token: {named}"
