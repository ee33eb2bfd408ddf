"""Numbers as people write them in tables: 124M, 1.3B, 2e9, 10^9, 124,439,808, 45.2 %.

    numbers(["124M", "1.3B"], counts=True)     # array([1.24e+08, 1.3e+09])

A comma may part thousands or decimals. All cells of a column are read one way, and a column whose
cells leave it open is refused.
"""

import re
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np

MISSING = frozenset(
    {"", "-", "--", "–", "—", "?", "na", "n/a", "#n/a", "nan", "nat", "<na>", "null", "none"}
)
"""Cells that say that there is no value, in lower case."""
SUFFIXES = {"k": 1e3, "m": 1e6, "b": 1e9, "bn": 1e9, "g": 1e9, "t": 1e12}
"""What counts may end with. Nobody counts thousandths of a parameter or token, so m is a
million."""
UNITS = r"(?:params?|parameters|tok(?:en)?s?|flops?)?"
PLAIN = re.compile(r"[+-]?(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?", re.I)
POWER = re.compile(r"(?:([+-]?\d+\.?\d*)[x×*·])?10(?:\^|\*\*)([+-]?\d{1,2})", re.I)
GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
SPACED = re.compile(r"[+-]?\d{1,3}(?:[\s'’]\d{3})+(?:[.,]\d+)?")
DOTTED = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+(?:,\d+)?")
"""Thousands parted by dots, certain where there are two of them."""
LONGEST = 60
"""Characters that a number may have."""
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:e[+-]?\d+)?", re.I)


class Problem(NamedTuple):
    """A cell that is no number: its place, and what is wrong with it."""

    place: int
    wrong: str


class Comma(Enum):
    """What the commas of a column separate. DOTS: decimals, while dots separate thousands."""

    NONE, THOUSANDS, DECIMALS, OPEN, DOTS = range(5)


def numbers(cells: Sequence[object], counts: bool = False) -> np.ndarray | Problem:
    """Return the cells as numbers (K,), or the first that is none.

    counts: they may end with K, M, B or T, and with a unit.
    """
    texts = [_tidy(cell) for cell in cells]
    commas = _commas([_number_part(text, counts)[0] for text in texts])
    if commas is Comma.OPEN:
        place = next(i for i, text in enumerate(texts) if "," in text)
        return Problem(
            place, f"{texts[place]!r} may mean thousands or decimals; write it without the comma"
        )

    values = np.empty(len(texts))
    for place, text in enumerate(texts):
        value = _number(text, counts, commas)
        if value is None or not np.isfinite(value):
            return Problem(place, _wrong(text, counts))
        values[place] = value
    return values


def is_missing(cell: object) -> bool:
    """Return whether a cell says that there is no value."""
    return _tidy(cell).lower() in MISSING


def _tidy(cell: object) -> str:
    """Return a cell's text without the spaces around it; empty for None."""
    return str("" if cell is None else cell).replace("\N{MINUS SIGN}", "-").strip()


def _wrong(text: str, counts: bool) -> str:
    if text.lower() in MISSING:
        return "has no value"
    shown = text if len(text) <= 40 else text[:39] + "…"
    if text.lower().lstrip("+-") in ("inf", "infinity", "∞"):
        return f"is {shown}"
    value = _number(text, True, Comma.NONE)
    if value is not None and not np.isfinite(value):
        return f"is {shown!r}, which is out of range"
    if value is not None:
        return f"is {shown!r}; write a measure as a plain number"
    return f"is {shown!r}, which is no number"


def _number_part(text: str, counts: bool) -> tuple[str, float]:
    """Return the text before a suffix, and what the suffix multiplies by."""
    if text.endswith("%"):
        return text[:-1].strip(), 0.01
    found = re.fullmatch(rf"(.*?\d\.?)\s*(k|m|bn?|g|t)?\s*{UNITS}", text, re.I) if counts else None
    if found is None:
        return text, 1.0
    return found[1].strip(), SUFFIXES.get((found[2] or "").lower(), 1.0)


def _commas(texts: Sequence[str]) -> Comma:
    """Return what the commas of a column part, from those cells that can be read one way only."""
    if any(DOTTED.fullmatch(text) and text.count(".") > 1 for text in texts):
        return Comma.DOTS
    with_comma = [text for text in texts if "," in text]
    if not with_comma:
        return Comma.NONE
    if not all(GROUPED.fullmatch(text) for text in with_comma):
        return Comma.DECIMALS
    certain = any(text.count(",") > 1 or "." in text for text in with_comma)
    return Comma.THOUSANDS if certain else Comma.OPEN


def _number(text: str, counts: bool, commas: Comma) -> float | None:
    """Return the number that a text stands for; None where it stands for none."""
    if len(text) > LONGEST:
        return None
    number, factor = _number_part(text, counts)
    power = POWER.fullmatch(number.replace(" ", ""))
    if power is not None:
        return float(power[1] or 1) * 10.0 ** int(power[2]) * factor
    if commas is Comma.THOUSANDS and GROUPED.fullmatch(number):
        number = number.replace(",", "")
    if commas is Comma.DOTS and DOTTED.fullmatch(number):
        number = number.replace(".", "")
    if commas in (Comma.DECIMALS, Comma.DOTS) and DECIMAL_COMMA.fullmatch(number):
        number = number.replace(",", ".")
    if SPACED.fullmatch(number):
        number = re.sub(r"[\s'’]", "", number).replace(",", ".")
    if not PLAIN.fullmatch(number):
        return None
    value = float(number)
    # Rounded, because 124.4 million is 124400000 and not 124400000.00000001
    return value if factor == 1 else float(f"{value * factor:.15g}")
