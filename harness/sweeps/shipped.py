"""The sweeps that are installed with unilaw."""

import contextlib
from pathlib import Path

from harness import HOME
from harness.errors import UserError, did_you_mean
from harness.sweeps.messages import show

SHIPPED = HOME / "tasks" / "sweeps"
"""The folder that they lie in."""


def locate(sweep: str) -> Path:
    """Return the file for a path or for the name of a shipped sweep.

    Raises UserError when there is neither.
    """
    path = Path(sweep)
    with contextlib.suppress(OSError):  # a name too long for the file system
        if path.is_file():
            return path

    shipped = sorted(p.stem for p in SHIPPED.glob("*.yaml"))
    if sweep in shipped:
        return SHIPPED / f"{sweep}.yaml"
    raise UserError(
        f"there is no sweep file {show(sweep)}, and the shipped sweeps are"
        f" {', '.join(shipped)}{did_you_mean(sweep, shipped)}"
    )
