"""Small JSON files of our own: one reader, which answers damage of any kind with one error.

>>> read_json('{"schema_version": 5}')
{'schema_version': 5}
"""

import json
import math
import re
from functools import partial
from typing import Any

DEEPEST = 32
"""Levels of lists and objects inside each other. What unilaw writes has at most five."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


class Damaged(ValueError):
    """JSON that unilaw did not write."""


def read_json(text: str | bytes, nan: bool = False) -> dict[str, Any]:
    """Return the object that a JSON text holds.

    Raises Damaged when the text is no JSON object, is nested deeper than DEEPEST, or holds a number
    that is not finite. `nan` lets NaN pass, which stands for a figure that is missing.
    """
    try:
        text = text.decode() if isinstance(text, bytes) else text
        if _depth(text) > DEEPEST:
            raise Damaged(f"JSON nested deeper than {DEEPEST} levels")
        number = partial(_number, nan)
        value = json.loads(text, parse_constant=number, parse_float=number)
    except Damaged:
        raise
    except ValueError as e:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise Damaged(f"not JSON ({type(e).__name__})") from None

    if not isinstance(value, dict):
        raise Damaged("no JSON object")
    return value


def _depth(text: str) -> int:
    """Return how deep brackets are nested, without the recursion of a parser."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return 0

    depth = deepest = 0
    for character in re.sub(r"[^][{}]", "", _STRING.sub("", text)):
        depth += 1 if character in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _number(nan: bool, text: str) -> float:
    value = float(text)
    if math.isinf(value) or (math.isnan(value) and not nan):
        raise Damaged(f"the number {text[:20]}")
    return value
