"""Draw two sets of rows that differ by a planted change or by noise alone, and compare them."""

import numpy as np
import pandas as pd

from reports.comparison import Change, cell_changes, slope_change, with_interval
from reports.fits.slope import Slope, fit_slope
from reports.measures import STABILITY

SIZES = (200, 400, 800, 1600, 3200)
CURVES = 6
SEEDS = 3
BETWEEN_SEEDS = 0.1
BETWEEN_CURVES = 0.05
"""Standard deviation of the curves' true slopes."""


def drawn(
    rng: np.random.Generator,
    slopes: np.ndarray,
    factors: dict[str, float] | None = None,
    curves: str = "curve",
    seeds: int = SEEDS,
) -> pd.DataFrame:
    """Return the rows of one store. slopes: of its curves. factors: cell → planted factor. curves:
    beginning of the curves' names; stores with other names have no curve in common."""
    rows = []
    for k, slope in enumerate(slopes):
        for p in SIZES:
            cell = f"{curves} {k} p={p}"
            level = 0.01 * p**slope * (factors or {}).get(cell, 1.0)
            for seed in range(seeds):
                value = level * float(np.exp(BETWEEN_SEEDS * rng.standard_normal()))
                rows.append(("kind", f"{curves} {k}", cell, seed, p, 100, 10, value))
    names = ["kind", "curve", "cell", "seed", "p", "n", "d_ambient", STABILITY]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(trial_id=[f"{rng.integers(2**60):016x}" for _ in rows])


def true_slopes(rng: np.random.Generator, mean: float = 0.2) -> np.ndarray:
    return mean + BETWEEN_CURVES * rng.standard_normal(CURVES)


def slope_of(rows: pd.DataFrame) -> Slope:
    return fit_slope(rows, STABILITY)


def slope_between(before: Slope, after: Slope) -> Change:
    """Return the change of the slope with its interval."""
    return with_interval(slope_change("kind", STABILITY, before, after), 1)


def cells_between(first: pd.DataFrame, second: pd.DataFrame) -> list[Change]:
    """Return the changes of the cells, each with its interval."""
    cells, _ = cell_changes(first, second)
    return [with_interval(cell, len(cells)) for cell in cells]


def changes(first: pd.DataFrame, second: pd.DataFrame) -> tuple[Change, list[Change]]:
    """Return the change of the slope and those of the cells, each with its interval."""
    return slope_between(slope_of(first), slope_of(second)), cells_between(first, second)
