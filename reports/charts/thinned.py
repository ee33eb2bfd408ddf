"""Draw medians instead of trials where a chart would hold more marks than a reader can tell apart.

A mark then stands for the trials of one kind, filled or hollow, in a twentieth of a decade of x.
Its bar holds the middle 80 % of them.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

MOST_MARKS = 2000
"""Marks up to which every trial is drawn."""
PER_DECADE = 20
MIDDLE = (0.1, 0.9)
"""Quantiles at the ends of a bar."""


class Binned(NamedTuple):
    """Medians with the ends of their bars, and how many trials each stands for."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    trials: tuple[int, ...]


def binned(x: pd.Series, y: pd.Series) -> Binned:
    """Return the medians of y in each twentieth of a decade of x, at the median of x."""
    pairs = pd.DataFrame({"x": x.astype(float), "y": y.astype(float)})
    by_bin = pairs.groupby(np.floor(PER_DECADE * np.log10(pairs["x"])))
    middle = by_bin.median()
    low, high = (by_bin["y"].quantile(q) for q in MIDDLE)
    return Binned(
        tuple(middle["x"]), tuple(middle["y"]), tuple(low), tuple(high), tuple(by_bin.size())
    )
