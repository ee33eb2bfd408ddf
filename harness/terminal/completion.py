"""Words that the shell completes: sweeps, tasks and designs. Nothing slow is imported for them."""

from collections.abc import Iterable
from pathlib import Path


def sweep_names(incomplete: str) -> list[str]:
    """Return the shipped sweeps, and the sweep files and folders here, whose names begin with
    `incomplete`."""
    return shipped_names(incomplete) + _files(incomplete, ".yaml")


def shipped_names(incomplete: str) -> list[str]:
    """Return the shipped sweeps that begin so."""
    from harness.sweeps.shipped import shipped

    return _beginning(incomplete, shipped())


def task_names(incomplete: str) -> list[str]:
    """Return the installed tasks that begin so."""
    from harness.sweeps.installed import installed

    return _beginning(incomplete, installed())


def design_names(incomplete: str) -> list[str]:
    """Return the designs of `unilaw selftest` that begin so."""
    from reports.selftest.designs import DESIGNS

    return _beginning(incomplete, [design.name for design in DESIGNS])


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    return sorted(word for word in words if word.startswith(incomplete))


def _files(incomplete: str, suffix: str) -> list[str]:
    """Return the folders and the files of this suffix that begin so. Hidden ones have to be asked
    for by their dot."""
    folder, slash, beginning = incomplete.rpartition("/")
    try:
        paths = sorted(Path(f"{folder}{slash}" or ".").iterdir())
    except OSError:
        return []

    found = []
    for path in paths:
        is_hidden = path.name.startswith(".") and not beginning.startswith(".")
        if is_hidden or not path.name.startswith(beginning):
            continue
        if path.is_dir():
            found.append(f"{folder}{slash}{path.name}/")
        elif path.suffix == suffix:
            found.append(f"{folder}{slash}{path.name}")
    return found
