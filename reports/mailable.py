"""Take out of a text what says where its maker works, so that a page can be mailed: paths, buckets,
machines.

    mailable("No such file: /srv/data/digits.npz", store)     # "No such file: …/digits.npz"

The last part of a path stays, because it says what the message is about.
"""

import getpass
import json
import re
import socket
from html import escape

from harness.store.store import Store

SEGMENT = r"(?:[\w.+@%~-]|\\u[0-9a-f]{4}|&amp;)+"
PATTERN = re.compile(
    r"(?P<kept>data:[\w/+.-]+;base64,[\w+/=]+)"
    rf"|(?P<bucket>(?:s(?:3|…|\\u2026)|gs|gcs|az|abfss?)://[^\s\"'<>&\\]+)"
    rf"|(?P<path>(?:(?<![\w/.<~…√)])|(?<=\\n)|(?<=\\t))(?:/{SEGMENT}){{2,}}/?)"
    r"|(?P<named>(?<=bucket )(?:'|&#39;)[^'&]+(?:'|&#39;))"
    r"|(?P<inside>https?://(?:[\w-]+\.)*(?:internal|local|localdomain|corp|lan)(?::\d+)?\b[^\s\"'<>&]*)"
    r"|(?P<windows>\b[A-Za-z]:(?:\\+[\w.+@-]+){2,})"
    r"|(?P<address>\b(?:10|127|172|192)(?:\.\d{1,3}){3}\b|\bip(?:-\d{1,3}){4}\b[\w.-]*)",
)
"""What gives a place away. Base64 is matched to be kept as it is. Warnings are listed with … in
place of their digits, hence s…://."""
SHORTEST_NAME = 3
"""Letters of a user's or a machine's name that are looked for. A machine's name must hold a digit,
dot or dash, too: others are words."""


def mailable(text: str, *stores: Store) -> str:
    """Return the text without paths, buckets, addresses of machines, and the names of this machine
    and of `user@` whoever writes the page. The place of a store becomes runs/NAME."""
    for store in stores:
        for place in _places(store):
            text = text.replace(place, f"runs/{store.name}")
    text = PATTERN.sub(_without_place, text)

    user = _user()
    if len(user) >= SHORTEST_NAME:
        text = re.sub(rf"\b{re.escape(user)}@", "…@", text)
    machine = socket.gethostname()
    if len(machine) >= SHORTEST_NAME and re.search(r"[\d.-]", machine):
        text = re.sub(rf"(?<![\w-]){re.escape(machine)}(?![\w-])", "…", text)
    return text


def _user() -> str:
    """Return the name of the user who writes the page, empty in a container that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _places(store: Store) -> list[str]:
    """Return the spellings of the store's place that a page may hold, the longest first."""
    where = str(store.where).rstrip("/")
    own = store.files.path("").rstrip("/")
    written = {w for place in (where, own) for w in (place, escape(place), json.dumps(place)[1:-1])}
    # A bare name such as "runs" is a word, not a place.
    return sorted((place for place in written if "/" in place), key=len, reverse=True)


def _without_place(found: re.Match[str]) -> str:
    if found["kept"]:
        return found["kept"]
    if found["bucket"] or found["named"] or found["inside"] or found["address"]:
        return "…"
    last = re.split(r"[/\\]+", found[0].rstrip("/"))[-1]
    return f"…/{last}"
