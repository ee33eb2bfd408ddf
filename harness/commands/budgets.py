"""The budget of `unilaw suggest`, as a user writes it: 2h, 1e18FLOP, 1e21."""

import re

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
"""Unit of time → its seconds."""
FLOP = "FLOP"
"""The other unit."""


def amount_and_unit(text: str) -> tuple[float, str]:
    """Return a positive finite number and its unit: one of SECONDS, FLOP, or empty where the text
    has none. The number is 0 for any other text."""
    found = re.fullmatch(r"([0-9.]+(?:e[+-]?[0-9]+)?) *(s|min|h|d|FLOPs?)?", text.strip(), re.I)
    try:
        amount = float(found[1]) if found else 0.0
    except ValueError:
        amount = 0.0
    if found is None or not 0 < amount < float("inf"):
        return 0.0, ""
    unit = (found[2] or "").lower()
    return amount, FLOP if unit.startswith("flop") else unit
