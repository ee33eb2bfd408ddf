"""The marker: a small file that says that a folder is a store, and of which schema version."""

import json

from harness.errors import UserError
from harness.store.folder import Folder
from harness.store.schema import SCHEMA_VERSION

MARKER = "_store.json"


def write_marker(folder: Folder) -> None:
    """Mark the folder as a store of today's schema version."""
    marker = {"unilaw_store": 1, "schema_version": SCHEMA_VERSION}
    folder.put(MARKER, json.dumps(marker).encode())


def read_marker(folder: Folder) -> int | None:
    """Return the schema version of the newest unilaw that wrote to the folder, or None without a
    marker.

    Raises UserError when the marker cannot be read or the version is newer than this unilaw's.
    """
    try:
        version = int(json.loads(folder.get(MARKER))["schema_version"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as e:
        raise UserError(
            f"{folder.address(MARKER)}: cannot be read as a store's marker ({type(e).__name__})"
        ) from None

    if version > SCHEMA_VERSION:
        raise UserError(
            f"the store '{folder}' has rows of schema version {version}; this unilaw reads up to"
            f" {SCHEMA_VERSION}: update unilaw"
        )
    return version
