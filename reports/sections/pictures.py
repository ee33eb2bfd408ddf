"""The section "The smallest changes found": the pictures in the store, read with care.

A row names its picture's file and what the picture shows. Whoever wrote the rows chose both. So the
name must have the one form that trials use, and the file must lie in the store's own folder and be
a PNG of sensible size. Otherwise the page says why there is no picture.
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
from reports.law import Fits
from reports.measures import as_list
from reports.numbers import Number
from reports.sections.section import Section, fill

NAME = re.compile(r"_pictures/[0-9a-f]{16}\.png")
SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_BYTES = 1_000_000
MOST_PIXELS = 4_000_000
"""For comparison: a strip of five magnified digits has 4 000 to 12 000 bytes and 110 000 pixels."""
LONGEST_ANSWER = 40
"""Characters shown of a label or an answer."""


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
        numbers = []
        for strip in self.strips:
            numbers += [strip.p, strip.n, strip.accuracy]
            numbers += [c.distance for c in strip.changes if c.distance is not None]
        return numbers


def section(evidence: Evidence, fits: Fits) -> Section | None:
    pictures = shown_pictures(evidence)
    if not pictures:
        return None
    numbers = [number for shown in pictures for number in shown.numbers()]
    html = fill("pictures.html.j2", pictures=pictures)
    return Section("pictures", "The smallest changes found", html, numbers)


def shown_pictures(evidence: Evidence) -> list[Shown]:
    """Return the strips of every kind that has any, in alphabetical order."""
    trials = evidence.trials[evidence.trials["pictures_file"].notna()]
    return [
        Shown(
            str(kind), [_strip(evidence.stores[row["store"]], row) for row in records(_three(rows))]
        )
        for kind, rows in trials.groupby("kind")
    ]


def _three(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one trial each of the smallest, the middle and the largest p, at the largest n."""
    rows = rows[rows["n"].eq(rows["n"].max())]
    sizes = rows.sort_values(["p", "seed", "trial_id"]).drop_duplicates("p")
    last = len(sizes) - 1
    return sizes.iloc[sorted({0, last // 2, last})]


def _strip(store: Store, row: dict[str, Any]) -> Strip:
    trial = row["trial_id"]

    def number(name: str, column: str, style: str) -> Number:
        how = f"column {column}"
        return Number(f"picture:{trial}:{name}", row[column], how, (trial,), style)

    png = ""
    problem = ""
    content = read_png(store, row["pictures_file"])
    if isinstance(content, bytes):
        png = base64.b64encode(content).decode()
    else:
        problem = content

    return Strip(
        trial,
        number("p", "p", "int"),
        number("n", "n", "int"),
        number("accuracy", "test_accuracy", "percent"),
        png,
        problem,
        [_change(trial, i, picture) for i, picture in enumerate(as_list(row["pictures"]))],
    )


def _change(trial: str, i: int, picture: dict[str, Any]) -> Change:
    label, before, after = (
        str(picture[part])[:LONGEST_ANSWER] for part in ("label", "before", "after")
    )
    length = picture["distance"]
    distance = None
    if length is not None and math.isfinite(length):
        how = f"distance of entry {i} of pictures"
        distance = Number(f"picture:{trial}:{i}", float(length), how, (trial,))
    return Change(label, before, after, distance)


def read_png(store: Store, name: Any) -> bytes | str:
    """Return the bytes of the file `name`, as its row calls it, or why it is not shown."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return "its row names a file that is not a picture of a trial"
    try:
        size = store.files.size(name)
        if size is None:  # also for a pipe, whose reading would never end
            return "its file is missing"
        if size > MOST_BYTES:
            return "its file is too large"
        content = store.files.get(name)
    except LeadsOut:
        return "its file lies outside the store"
    except (UserError, FileNotFoundError) as e:
        return f"its file cannot be read ({e})"

    # A PNG begins with its signature and a chunk IHDR, whose first numbers are width and height.
    if not content.startswith(SIGNATURE) or content[12:16] != b"IHDR" or len(content) < 33:
        return "its file is not a PNG"
    width, height = struct.unpack(">II", content[16:24])
    return content if 0 < width * height <= MOST_PIXELS else "its picture is too large"
