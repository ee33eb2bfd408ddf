"""Define the colours, symbols and layout that all charts share."""

from typing import Any

import pandas as pd
import plotly.io as pio

pio.templates.default = "simple_white"
"""The template of every figure. When a figure's own layout names it, plotly validates all of the
template again: 27 ms a figure instead of 1."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999933")
"""Okabe & Ito's palette, which readers with colour-vision deficiencies can tell apart."""
FAMILY_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#000000",
    "#999933",
    "#E69F00",
    "#56B4E9",
)
"""The same palette for families. Its light blue comes last, because a paler dark blue looks like
it."""
SYMBOLS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "star",
    "hexagon",
    "triangle-down",
)
PUBLISHED = "star-diamond-open"
"""The symbol of figures that others published."""
WHITE_SHARES = (0.0, 0.3, 0.5, 0.65)
"""The share of white in the colour of a family's first, second, … kind."""


def kind_styles(trials: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Return the colour and symbol of every kind, in alphabetical order, the same in every chart
    of a report.

    Kinds of one family share a hue, each paler than the one before, and differ in symbol. Where
    there is one family, each kind has a hue of its own.
    """
    family_of = trials.groupby("kind")["family"].first().sort_index()
    families = sorted(family_of.unique())

    styles = {}
    for i, (kind, family) in enumerate(family_of.items()):
        symbol = SYMBOLS[i % len(SYMBOLS)]
        colour = COLOURS[i % len(COLOURS)]
        if len(families) > 1:
            place = int((family_of.iloc[:i] == family).sum())
            hue = FAMILY_COLOURS[families.index(family) % len(FAMILY_COLOURS)]
            colour = paler(hue, WHITE_SHARES[place % len(WHITE_SHARES)])
        styles[str(kind)] = (colour, symbol)
    return styles


def paler(colour: str, white: float) -> str:
    """Return #RRGGBB mixed with this share of white.

    >>> paler("#000000", 0.5)
    '#808080'
    """
    channels = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(c + (255 - c) * white):02x}" for c in channels)


def base_layout(height: int) -> dict[str, Any]:
    """Return the layout that all charts share. height: in pixels."""
    return {
        "height": height,
        "margin": {"l": 64, "r": 12, "t": 12, "b": 48},
        "legend": {
            "orientation": "h",
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "x": 0,
            "font": {"size": 12},
        },
        "hoverlabel": {"align": "left", "font": {"size": 12}},
        "font": {"family": "system-ui, sans-serif", "size": 13},
    }
