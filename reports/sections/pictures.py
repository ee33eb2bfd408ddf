"""The pictures of small changes that the store holds, read with care, for the page to show.

A row names its picture's file and what is seen on it. Both come from whoever wrote the rows: the
name must have the one form that a trial gives it, lie in the store's own folder, and be a PNG of
sensible size; anything else is said and not shown.
"""

import base64
import math
import re
import struct
from typing import Any, NamedTuple

import pandas as pd

from harness.errors import UserError
from harness.store.folder import LeadsOut
from harness.store.store import Store
from reports.evidence import Evidence, records
from reports.measures import as_list
from reports.numbers import Number

NAME = re.compile(r"_pictures/[0-9a-f]{16}\.png")
SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_BYTES, MOST_PIXELS = 1_000_000, 4_000_000
"""A strip of five magnified digits has 4 000 to 12 000 bytes and 110 000 pixels."""
LONGEST_ANSWER = 40


class Change(NamedTuple):
    """One line of a strip: the held-out label, the model's answers before and after, and the
    change's length in data units."""

    label: str
    before: str
    after: str
    distance: Number | None


class Strip(NamedTuple):
    """One model's strip: the PNG in base64, or why it cannot be shown."""

    trial: str
    p: Number
    n: Number
    accuracy: Number
    png: str
    problem: str
    changes: list[Change]


class Shown(NamedTuple):
    """The strips of one kind: its smallest, middle and largest model with a picture."""

    kind: str
    strips: list[Strip]

    def numbers(self) -> list[Number]:
        own = [number for strip in self.strips for number in (strip.p, strip.n, strip.accuracy)]
        return own + [
            c.distance for strip in self.strips for c in strip.changes if c.distance is not None
        ]


def shown_pictures(evidence: Evidence) -> list[Shown]:
    """Strips of every kind that has any, in alphabetical order."""
    t = evidence.trials[evidence.trials["pictures_file"].notna()]
    return [
        Shown(str(kind), [_strip(evidence.store, row) for row in records(_three(rows))])
        for kind, rows in t.groupby("kind")
    ]


def _three(rows: pd.DataFrame) -> pd.DataFrame:
    """One trial each of the smallest, the middle and the largest p, at the largest n."""
    rows = (
        rows[rows["n"].eq(rows["n"].max())]
        .sort_values(["p", "seed", "trial_id"])
        .drop_duplicates("p")
    )
    return rows.iloc[sorted({0, (len(rows) - 1) // 2, len(rows) - 1})]


def _strip(store: Store, row: dict[str, Any]) -> Strip:
    trial = row["trial_id"]
    found = read_png(store, row["pictures_file"])
    changes = [_change(trial, i, picture) for i, picture in enumerate(as_list(row["pictures"]))]
    return Strip(
        trial,
        Number(f"picture:{trial}:p", row["p"], "column p", (trial,), "int"),
        Number(f"picture:{trial}:n", row["n"], "column n", (trial,), "int"),
        Number(
            f"picture:{trial}:accuracy",
            row["test_accuracy"],
            "column test_accuracy",
            (trial,),
            "percent",
        ),
        base64.b64encode(found).decode() if isinstance(found, bytes) else "",
        found if isinstance(found, str) else "",
        changes,
    )


def _change(trial: str, i: int, picture: dict[str, Any]) -> Change:
    label, before, after = (
        str(picture[part])[:LONGEST_ANSWER] for part in ("label", "before", "after")
    )
    length = float("nan") if picture["distance"] is None else float(picture["distance"])
    distance = Number(
        f"picture:{trial}:{i}", length, f"distance of entry {i} of pictures", (trial,)
    )
    return Change(label, before, after, distance if math.isfinite(length) else None)


def read_png(store: Store, name: Any) -> bytes | str:
    """The file's bytes, or why it is not shown. `name` as the row gives it."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return "its row names a file that is not a picture of a trial"
    try:
        size = store.files.size(name)
        if size is None:  # a pipe is no file either: it would never end
            return "its file is not there"
        if size > MOST_BYTES:
            return "its file is too large"
        content = store.files.get(name)
    except LeadsOut:
        return "its file lies outside the store"
    except (UserError, FileNotFoundError) as e:
        return f"its file cannot be read ({e})"
    if not content.startswith(SIGNATURE) or content[12:16] != b"IHDR" or len(content) < 33:
        return "its file is not a PNG"
    width, height = struct.unpack(">II", content[16:24])
    return content if 0 < width * height <= MOST_PIXELS else "its picture is too large"
