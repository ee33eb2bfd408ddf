"""Paths as users write them, on the command line and in sweep files."""

import os

from harness.errors import UserError


def user_path(where: str) -> str:
    """Return a path as the user meant it: `~` is a home, also where no shell has replaced it.

    Raises UserError for a home that does not exist, and for bytes that are no text: rows, reports
    and Ray repeat the path.
    """
    try:
        where.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"the path {os.fsencode(where)!r} holds bytes that are no UTF-8 text; rename it"
        ) from None

    path = os.path.expanduser(where)
    if path.startswith("~"):
        raise UserError(
            f"the path '{where}' begins with a home that does not exist here; write './{where}' for"
            " a file or folder of that name"
        )
    return path
