"""The marker: a small file that says that a folder is a store, and of which schema version."""

import json
from contextlib import suppress

from harness.errors import UserError
from harness.store.folder import Folder
from harness.store.schema import SCHEMA_VERSION
from harness.store.small_json import read_json

MARKER = "_store.json"


def _content() -> str:
    return json.dumps({"unilaw_store": 1, "schema_version": SCHEMA_VERSION})


def write_marker(folder: Folder) -> None:
    """Mark the folder as a store of today's schema version."""
    folder.put(MARKER, _content().encode())


def read_marker(folder: Folder) -> int | None:
    """Return the schema version of the newest unilaw that wrote to the folder, or None without a
    marker.

    Raises UserError when the marker cannot be read or the version is newer than this unilaw's.
    """
    try:
        version = int(read_json(folder.get(MARKER))["schema_version"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as e:
        raise UserError(
            f"{folder.address(MARKER)}: cannot be read as a store's marker ({type(e).__name__}); if"
            f" the store is yours, write {_content()} into it"
        ) from None

    if version > SCHEMA_VERSION:
        raise UserError(
            f"the store '{folder}' has rows of schema version {version}; this unilaw reads up to"
            f" {SCHEMA_VERSION}: update unilaw"
        )
    return version


def refuse_inside_another(folder: Folder) -> None:
    """Raise UserError when the folder lies in a store: what reads that store would take the rows of
    both."""
    for above in folder.above():
        is_store = False
        with suppress(UserError):  # a folder above may be closed to this user
            is_store = above.size(MARKER) is not None
        if is_store:
            raise UserError(
                f"'{folder}' lies inside the store '{above}', whose readers would take its rows"
                " too; choose a place outside"
            )
