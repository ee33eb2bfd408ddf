"""Define the colours and shapes that all charts share."""

import pandas as pd

from reports.charts.chart import (
    CIRCLE,
    CROSS,
    INVERTED,
    LEFT,
    PENTAGON,
    RIGHT,
    SQUARE,
    STAR,
    TRIANGLE,
)

INK, QUIET, GRID, PAPER = "#1a1a1a", "#5c5c5d", "#e3e3e4", "#fffffe"
"""Text, secondary text and guides, grid lines, background. On the page they follow its theme
(`svg.py`), so no other colour of a chart may be one of them."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999933", INK)
"""Okabe & Ito's palette, which readers with colour-vision deficiencies can tell apart, without its
yellow, which is too pale for marks. The light blue comes late, because a paler dark blue looks
like it."""
SHAPES = (CIRCLE, SQUARE, TRIANGLE, INVERTED, PENTAGON, CROSS, LEFT, RIGHT)
"""Shapes that tell kinds apart where colours cannot. The diamond is kept for the frontier, the star
for published figures."""
PUBLISHED = STAR
WHITE_SHARES = (0.0, 0.3, 0.5, 0.65)
"""The share of white in the colour of a family's first, second, … kind."""


def kind_styles(trials: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Return the colour and shape of every kind, in alphabetical order, the same in every chart
    of a report.

    Kinds of one family share a hue, each paler than the one before, and differ in shape. Where
    there is one family, each kind has a hue of its own.
    """
    family_of = trials.groupby("kind")["family"].first().sort_index()
    families = sorted(family_of.unique())

    styles = {}
    for i, (kind, family) in enumerate(family_of.items()):
        shape = SHAPES[i % len(SHAPES)]
        colour = COLOURS[i % len(COLOURS)]
        if len(families) > 1:
            place = int((family_of.iloc[:i] == family).sum())
            hue = COLOURS[families.index(family) % len(COLOURS)]
            colour = paler(hue, WHITE_SHARES[place % len(WHITE_SHARES)])
        styles[str(kind)] = (colour, shape)
    return styles


def paler(colour: str, white: float) -> str:
    """Return #RRGGBB mixed with this share of white; the colour itself without white, so that INK
    stays INK.

    >>> paler("#000000", 0.5)
    '#808080'
    """
    channels = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(c + (255 - c) * white):02x}" for c in channels)


def steps(colour: str, count: int) -> list[str]:
    """Return `count` lightness steps of a colour, palest first."""
    shares = [0.6 * (count - 1 - i) / max(count - 1, 1) for i in range(count)]
    return [paler(colour, share) for share in shares]
