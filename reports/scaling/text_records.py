"""A text as people paste it, to records of cells: which sign parts them, and which lines hold none.

    found = records("# of March\\nN;D;loss\\n1e8;2e9;3,1\\n")
    found.rows[0], found.separator     # ((2, ["N", "D", "loss"]), ";")

Beside commas, tabs, semicolons and bars: runs of spaces, a table in Markdown, comment lines before
the header, the first line `sep=;` of spreadsheets, and separators at the end of every line.
"""

import csv
import io
import re
from typing import NamedTuple

from harness.errors import UserError

SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
SPACES = " "
RULE = re.compile(r":?-+:?")
"""A cell of the line below a header in Markdown."""

Record = tuple[int, list[str]]
"""A line's number, and its cells."""


class Records(NamedTuple):
    """rows: the header first. separator: the sign that parts cells."""

    rows: list[Record]
    separator: str


def records(text: str, name: str) -> Records:
    """Return the records of a text that is not blank. Blank lines count as lines but hold none.
    Raise UserError for a quote that is not closed, and for one column."""
    lines = io.StringIO(text, newline="").readlines()
    said = re.fullmatch(r"\s*sep=(.)\s*", lines[0])
    if said is not None and said[1] in SEPARATORS:
        return _parted("".join(["\n", *lines[1:]]), said[1], name)

    first = _header(lines)
    counts = {sign: len(next(csv.reader([lines[first]], delimiter=sign))) for sign in SEPARATORS}
    separator = max(counts, key=lambda sign: counts[sign])
    text = "".join(["\n"] * first + lines[first:])
    if counts[separator] > 1:
        return _parted(text, separator, name)

    split = [(i, line.split()) for i, line in enumerate(lines[first:], first + 1) if line.strip()]
    if len(split) > 1 and len(split[0][1]) > 1 and len({len(cells) for _, cells in split}) == 1:
        return Records(split, SPACES)
    raise UserError(
        f"{name} has one column, '{' '.join(lines[first].split())[:40]}'; columns are parted by"
        f" {', '.join(list(SEPARATORS.values())[:-1])} or bars"
    )


def _header(lines: list[str]) -> int:
    """Return the place of the header: the first line that is not blank, or, where comments stand
    before it, the first after them. A comment that has as many cells as the line below is the
    header itself, as in `# N,D,loss`."""
    filled = [i for i, line in enumerate(lines) if line.strip()]
    for place, after in zip(filled, filled[1:] + [filled[-1]], strict=True):
        if not lines[place].lstrip().startswith("#"):
            return place
        cells = [max(lines[i].count(sign) for sign in SEPARATORS) for i in (place, after)]
        if place == after or not lines[after].lstrip().startswith("#") and cells[0] == cells[1] > 0:
            return place
    return filled[0]


def _parted(text: str, separator: str, name: str) -> Records:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        rows = [(reader.line_num, record) for record in reader if any(map(str.strip, record))]
    except csv.Error as e:
        raise UserError(f"{name}, row {reader.line_num}: not a table: {e}") from None

    if separator == "|" and len(rows) > 1 and all(map(RULE.fullmatch, _filled(rows[1][1]))):
        del rows[1]
    # In Markdown a bar stands at both ends, and some programs end each line with a separator.
    for end in (0, -1):
        if all(len(record) > 1 and not record[end].strip() for _, record in rows):
            for _, record in rows:
                del record[end]

    width = len(rows[0][1])
    for _, record in rows:
        if len(record) > width and not any(map(str.strip, record[width:])):
            del record[width:]
    return Records(rows, separator)


def _filled(record: list[str]) -> list[str]:
    return [cell.strip() for cell in record if cell.strip()]
