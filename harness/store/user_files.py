"""Files that a command writes where its user said.

refuse_file(output, "the report")  # before the work
write_over(output, content, "the report")
"""

import errno
import os
from pathlib import Path

from harness.errors import UserError
from harness.store.whole_file import write_whole


def refuse_file(path: Path, what: str) -> None:
    """Raise UserError where no such file can be made, as its folders would be. what: the file is,
    for the message."""
    if os.path.isdir(path):
        raise UserError(f"{what} '{path}' is a folder; name a file")
    refuse_folder(path.parent, f"{what} '{path}'")


def refuse_folder(folder: Path, named: str) -> None:
    """Raise UserError where files cannot be made in a folder, which need not be there yet. named:
    what would be written, for the message."""
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    except OSError as e:  # as for a name that is too long
        raise UserError(f"{named} cannot be written: {e.strerror}") from None
    if not there.is_dir():
        raise UserError(f"{named} cannot be written: {os.strerror(errno.ENOTDIR)}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{named} cannot be written: {os.strerror(errno.EACCES)}")


def refuse_taken(path: Path) -> None:
    """Raise UserError where `write_new` would."""
    if os.path.lexists(path):
        raise UserError(f"{path} is there already, and nothing is overwritten")
    refuse_folder(path.parent, str(path))
    if not path.parent.exists():
        raise UserError(f"{path} cannot be written: {os.strerror(errno.ENOENT)}")


def write_over(path: Path, content: bytes, what: str) -> None:
    """Write a file in one rename, and the folders above it. Raise UserError when that fails. what:
    the file is, for the message."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as e:
        raise UserError(f"{what} '{path}' cannot be written: {e.strerror}") from None


def write_new(path: Path, content: bytes) -> None:
    """Write a file into a folder that is there. Raise UserError where the file is there already,
    and when it cannot be written."""
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise UserError(f"{path} is there already, and nothing is overwritten") from None
    except OSError as e:
        raise UserError(f"{path} cannot be written: {e.strerror}") from None
