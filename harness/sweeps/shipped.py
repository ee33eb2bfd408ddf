"""The sweeps that are installed with unilaw. The shell asks for their names, so nothing slow is
imported here."""

import contextlib
import re
from pathlib import Path

from harness import HOME
from harness.errors import UserError, did_you_mean
from harness.store.user_files import write_new

SHIPPED = HOME / "tasks" / "sweeps"
"""The folder that they lie in."""


def shipped() -> list[str]:
    """Return the names of the shipped sweeps."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def locate(sweep: str) -> Path:
    """Return the file for a path or for the name of a shipped sweep.

    Raises UserError when there is neither.
    """
    from harness.sweeps.messages import show

    path = Path(sweep)
    with contextlib.suppress(OSError):  # a name too long for the file system
        if path.is_file():
            return path

    names = shipped()
    if sweep in names:
        return SHIPPED / f"{sweep}.yaml"
    raise UserError(
        f"there is no sweep file {show(sweep)}, and the shipped sweeps are"
        f" {', '.join(names)}{did_you_mean(sweep, names)}"
    )


def summaries() -> dict[str, str]:
    """Return the first sentence of each shipped sweep's description, by name."""
    import yaml

    found = {}
    for name in shipped():
        text = (SHIPPED / f"{name}.yaml").read_text(encoding="utf-8")
        head = text.partition("\ntasks:")[0]  # the rest takes a second to parse
        words = " ".join(yaml.safe_load(head)["description"].split())
        found[name] = re.split(r"(?<! al)\. (?=[A-Z])", words)[0].rstrip(".")
    return found


def copy_shipped(name: str, target: Path) -> Path:
    """Copy a shipped sweep to a file, or into a folder under its own name. Return the file.

    Raises UserError for an unknown name, for a file that is there already, and for one that cannot
    be written.
    """
    names = shipped()
    if name not in names:
        raise UserError(
            f"'{name[:60]}' is no shipped sweep; shipped are {', '.join(names)}"
            f"{did_you_mean(name, names)}"
        )

    path = target / f"{name}.yaml" if target.is_dir() else target
    write_new(path, (SHIPPED / f"{name}.yaml").read_bytes())
    return path
