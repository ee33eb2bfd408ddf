"""Say how matplotlib draws the shapes, dashes and letters of charts."""

from typing import Any

from reports.charts.chart import (
    CIRCLE,
    CROSS,
    DASHED,
    DIAMOND,
    DOTTED,
    INVERTED,
    LEFT,
    PENTAGON,
    RIGHT,
    SOLID,
    SQUARE,
    STAR,
    TICK,
    TRIANGLE,
)
from reports.charts.style import PAPER

MARKERS = {
    CIRCLE: "o",
    SQUARE: "s",
    DIAMOND: "D",
    TRIANGLE: "^",
    INVERTED: "v",
    LEFT: "<",
    RIGHT: ">",
    PENTAGON: "p",
    CROSS: "P",
    STAR: "*",
    TICK: "|",
}
DASHES: dict[str, Any] = {SOLID: "-", DASHED: (0, (5, 3)), DOTTED: (0, (1.2, 2.6))}
DPI = 72
FONT = 12
CHARACTER = 0.53 * FONT
"""Mean width of a character in pixels, to make room for text."""


def look(colour: str, shape: str, filled: bool, size: float) -> dict[str, Any]:
    """Return matplotlib's settings of a mark. A hollow mark covers the lines behind it;
    a filled one has an edge of the background, which parts it from its neighbours."""
    stroked = shape == TICK or not filled
    return {
        "marker": MARKERS[shape],
        "markersize": size + (3 if shape == STAR else 0),
        "markerfacecolor": colour if filled else PAPER,
        "markeredgecolor": colour if stroked else PAPER,
        "markeredgewidth": 3 if shape == TICK else 1.2 if stroked else 0.5,
    }
