"""The small files that a user names: sweep files and task files."""

import stat
from pathlib import Path

from harness.errors import UserError

MAX_BYTES = 1_000_000


def read_small(path: Path, place: str, kind: str, most: int = MAX_BYTES) -> bytes:
    """Return the content of a file. `place` begins the messages; `kind` is "a sweep file", say.

    Raises UserError for a file that cannot be read or is longer than `most` bytes, and for a pipe
    or a device, which may never end.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise UserError(f"{place}: cannot be read: it is a pipe or a device, not {kind}")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as e:
        raise UserError(f"{place}: cannot be read: {e.strerror}") from None

    if len(content) > most:
        length = max(status.st_size, len(content))
        raise UserError(f"{place}: is {length} bytes long; {kind} may have {most}")
    return content
