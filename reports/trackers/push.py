"""Send the trials of a store to an experiment tracker, each as a run.

    push("runs/quickstart", "mlflow")

Only trials whose newest row is not there yet are sent, so a push that was cut off goes on where it
stopped.
"""

import importlib
import importlib.util
import re
from pathlib import Path
from typing import NamedTuple, Protocol

import pandas as pd

from harness.errors import UserError, did_you_mean
from reports.latest_rows import latest_rows
from reports.trackers.runs import Run, runs
from reports.trackers.what_leaves import NOT_SENT, what_leaves

TRACKERS = ("mlflow", "wandb", "trackio")
"""Packages, each with a module here: `reports.trackers.NAME_runs`."""


class Tracker(Protocol):
    """What each module of TRACKERS defines: a project that takes runs."""

    def __init__(self, project: str): ...

    def known(self) -> dict[str, str]:
        """Return the version of each trial that is there whole."""
        ...

    def send(self, run: Run) -> None:
        """Add a run, in place of the trial's earlier ones."""
        ...


class Pushed(NamedTuple):
    """What a push did."""

    project: str
    sent: int
    before: int
    """Trials whose newest row was there."""
    withheld: dict[str, int]
    """Column → values that were not sent, because they look like a path, a host, a user or a
    token."""


def push(where: str | Path, to: str, project: str | None = None) -> Pushed:
    """Send the newest row of each trial to the tracker `to`.

    project: default: the name of the rows' sweep, or "unilaw" where they are of several. Raises
    UserError for an unknown tracker, one that is not installed, a project's name that is none, and
    an empty store.
    """
    if to not in TRACKERS:
        raise UserError(f"--to {to!r}: must be {', '.join(TRACKERS)}{did_you_mean(to, TRACKERS)}")
    if importlib.util.find_spec(to) is None:
        raise UserError(f"{to} is not installed; `pip install {to}` installs it")
    if project is not None and not re.fullmatch(r"[A-Za-z0-9][\w. -]{0,99}", project):
        raise UserError(
            f"--project {project[:60]!r}: must be up to 100 letters, digits, '_', '.', '-' and"
            " spaces, beginning with a letter or a digit"
        )

    rows = latest_rows(where)
    refuse_empty(rows, where)
    leaving = what_leaves(rows)
    project = project or sweep_name(leaving.rows)
    sent = 0
    try:
        tracker: Tracker = importlib.import_module(f"reports.trackers.{to}_runs").Tracker(project)
        known = tracker.known()
        for run in runs(leaving.rows):
            if known.get(run.trial) != run.version:
                tracker.send(run)
                sent += 1
    except UserError:
        raise
    except Exception as e:  # every tracker raises classes of its own
        reason = next(iter(str(e).splitlines()), "")
        raise UserError(
            f"{to} did not take the rows: {type(e).__name__}: {reason[:300]}; {sent} were sent"
        ) from None
    return Pushed(project, sent, len(rows) - sent, leaving.withheld)


def refuse_empty(rows: pd.DataFrame, where: str | Path) -> None:
    """Raise UserError when there are no rows to send."""
    if rows.empty:
        raise UserError(f"the store '{where}' has no rows yet, so there is nothing to send")


def sweep_name(rows: pd.DataFrame) -> str:
    """Return the name of the sweep, or "unilaw" where the rows are of several or it may not leave.

    rows: those of `what_leaves`.
    """
    names = rows["sweep"].unique()
    return str(names[0]) if len(names) == 1 and names[0] != NOT_SENT else "unilaw"
