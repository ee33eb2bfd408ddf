"""How far the search for the most robust fit falls short where that is known, and what this adds
to the interval of an exponent.

    gap = measured()
    low, high = gap.of_d.widen(slope, low, high)

`tests/benchmarks/search_gap.py` planted fits of known radius r0 on the sphere, and wrote the share
of r0 that each search reached. More than r0 counts as all of it: the planted fit is not the most
robust one, so nothing is known beyond. A share that goes with d or with p/n makes the searched
radii do so too, and the interval is widened until it holds the exponent with and without that.
"""

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import t

FILE = Path(__file__).with_suffix(".csv")
LEVEL = 0.95
LEAST_SHARE = 1e-3
"""A search that found no radius counts as this share."""
ENOUGH = 0.95
"""The share that a search should reach."""


class Gap(NamedTuple):
    """One search on planted labels: d, width, p, n, the seed of the data, and the radius found over
    the radius planted, which may exceed 1."""

    d: int
    width: int
    p: int
    n: int
    seed: int
    share: float


class GapSlope(NamedTuple):
    """The slope of the logarithm of the share with its 95 % interval."""

    slope: float
    low: float
    high: float

    def widen(self, slope: float, low: float, high: float) -> tuple[float, float]:
        """Return the ends of the interval of a fitted slope, widened by this one.

        Half-widths add as independent errors do. The ends hold the slope as fitted, and less the
        slope of the share.
        """
        own = (self.high - self.low) / 2
        centres = (slope, slope - self.slope)
        return (
            min(centres) - float(np.hypot(slope - low, own)),
            max(centres) + float(np.hypot(high - slope, own)),
        )


class SearchGap(NamedTuple):
    """of_d: at fixed p/n. of_p: at fixed n and d. share: geometric mean over searches, at most 1
    each. below: searches under ENOUGH. dimensions and ratios: the smallest and the largest d and
    p/n."""

    of_d: GapSlope
    of_p: GapSlope
    share: float
    least: float
    below: int
    searches: int
    dimensions: tuple[int, int]
    ratios: tuple[float, float]


@cache
def measured() -> SearchGap:
    """Return the gap from the searches whose file is shipped."""
    with FILE.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return search_gap(
        [
            Gap(
                d=int(row["d"]),
                width=int(row["width"]),
                p=int(row["p"]),
                n=int(row["n"]),
                seed=int(row["seed"]),
                share=float(row["share"]),
            )
            for row in rows
        ]
    )


def search_gap(gaps: Sequence[Gap]) -> SearchGap:
    """Fit log share = a + b·log d + c·log(p/n) by least squares, every search one observation.
    Shares above 1 count as 1."""
    table = np.array(gaps, float)
    d, p, n = table[:, 0], table[:, 2], table[:, 3]
    share = np.clip(table[:, 5], LEAST_SHARE, 1.0)
    y = np.log(share)
    design = np.column_stack([np.ones_like(y), np.log(d), np.log(p / n)])

    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    freedom = len(y) - design.shape[1]
    variance = np.sum((y - design @ solution) ** 2) / freedom
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * variance)
    half = float(t.ppf((1 + LEVEL) / 2, freedom)) * errors
    of_d, of_p = (
        GapSlope(float(solution[k]), float(solution[k] - half[k]), float(solution[k] + half[k]))
        for k in (1, 2)
    )
    return SearchGap(
        of_d,
        of_p,
        float(np.exp(y.mean())),
        float(share.min()),
        int((share < ENOUGH).sum()),
        len(share),
        (int(d.min()), int(d.max())),
        (float((p / n).min()), float((p / n).max())),
    )
