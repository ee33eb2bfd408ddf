"""Draw a fitted slope through each curve of a kind: solid over the cells that entered the fit,
dashed over the other sizes of the curve, with the band of the slope's interval."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.charts.chart import DASHED, Band, Line
from reports.fits.slope import Slope

MOST_CURVES = 100
"""Of more curves, every k-th by height is drawn: lines that cover each other say no more."""
MOST_BANDS = 3
"""Curves up to which each gets a band; more bands than that cover each other."""


class Fitted(NamedTuple):
    """The lines and bands of one kind."""

    lines: list[Line]
    bands: list[Band]


def fitted_lines(rows: pd.DataFrame, x: str, y: str, slope: Slope, colour: str) -> Fitted:
    """Return the fitted lines of a kind's curves. rows: the kind's trials with a place on the axes
    x and y; the slope is against p.

    An end lies where the trials of that p lie: d grows with p where it counts the numbers of a
    model's own embedding.
    """
    rows = rows[rows[y] > 0]
    used = rows[rows["in_fit"]]
    if used.empty:
        return Fitted([], [])
    above = np.log(used[y].to_numpy(float)) - slope.slope * np.log(used["p"].to_numpy(float))
    levels = pd.Series(above, index=used.index).groupby(used["curve"]).mean().sort_values()
    shown = levels.iloc[:: -(-len(levels) // MOST_CURVES)]

    solid, dashed, bands = [], [], []
    places = rows.groupby(["curve", "p"])[x].median()
    sizes_of = pd.Series(np.log(used["p"].to_numpy(float)), used.index)
    middles = sizes_of.groupby(used["curve"]).mean()
    least, most = (used.groupby("curve")["p"].agg(end) for end in ("min", "max"))
    for curve, level in zip(map(str, shown.index), shown, strict=True):
        at = places.loc[curve]
        sizes = at.index.to_numpy(float)
        low, high = float(least[curve]), float(most[curve])
        inner = (sizes >= low) & (sizes <= high)
        heights = np.exp(level + slope.slope * np.log(sizes))
        across = at.to_numpy(float)
        before = sizes <= low
        after = sizes >= high

        solid.append(_ends(across[inner], heights[inner]))
        dashed += [_ends(across[part], heights[part]) for part in (before, after) if part.sum() > 1]
        if len(levels) <= MOST_BANDS and np.isfinite([slope.low, slope.high]).all():
            away = np.log(sizes[inner]) - middles.loc[curve]
            bands.append(_band(across[inner], heights[inner], away, slope, colour))

    lines = [Line(*_joined(solid), colour)]
    if dashed:
        lines.append(Line(*_joined(dashed), colour, DASHED, width=1))
    return Fitted(lines, bands)


def _ends(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the two ends of a straight line, shape (2, 2)."""
    ends = [int(np.argmin(x)), int(np.argmax(x))]
    return np.array([x[ends], y[ends]])


def _joined(pieces: list[np.ndarray]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return all lines as one, with a gap after each: a path for each would make the page grow."""
    gap = np.full((2, 1), np.nan)
    x, y = np.concatenate([np.concatenate([piece, gap], axis=1) for piece in pieces], axis=1)
    return tuple(x), tuple(y)


def _band(x: np.ndarray, y: np.ndarray, away: np.ndarray, slope: Slope, colour: str) -> Band:
    """Return the interval of the slope around a line, turned about the line's middle."""
    turned = [y * np.exp((end - slope.slope) * away) for end in (slope.low, slope.high)]
    order = np.argsort(x)
    low, high = np.minimum(*turned)[order], np.maximum(*turned)[order]
    return Band(tuple(x[order]), tuple(low), tuple(high), colour)
