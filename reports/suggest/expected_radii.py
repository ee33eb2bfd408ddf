"""The radii that searches of new cells are expected to find, as rows of the table of radii.

    expected = ExpectedRadii.of(table)
    expected.rows([Searched(p, n, d, depth, curve)])

They decide whether a new cell enters a fit, by the report's own rules, and nothing else: an
expected radius is no evidence. A radius is expected at x/√(1 + (x/r∞)²) with x = c·√(p/(n·d)): of
the law's order far below the ceiling, and under it everywhere. c is that of the curve, from its
cells below half of r∞ where it has such, or the median of all for a new curve. The ceiling of new
data is that of ln r∞ = a + b/d + c·ln(n)/d, the order in which nearest neighbours approach each
other.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from harness.store.radius_law import radius_law
from reports.frontier import SHARE

MOST = 0.99
"""A radius counts as at most this share of r∞, because draws of the points vary."""


class Searched(NamedTuple):
    """A cell that could be searched, and the name of its curve."""

    p: int
    n: int
    d: int
    depth: float
    curve: str


class ExpectedRadii(NamedTuple):
    """constants: c of each curve. ceilings: r∞ of each curve. far: the coefficients of ln r∞, NaN
    where it is not known. law: r_law over its formula for the unit sphere, NaN where it is not
    known."""

    problem: str
    constants: dict[str, float]
    ceilings: dict[str, float]
    far: np.ndarray
    law: float

    @classmethod
    def of(cls, table: pd.DataFrame) -> "ExpectedRadii":
        """Fit the radii of one problem. table: as `reports.frontier.radii_of` returns it."""
        cells = table.groupby("cell").agg(
            {name: "first" for name in ("curve", "n", "d", "p")}
            | {name: "mean" for name in ("radius", "r_inf", "r_law")}
        )
        fitted = cells[cells["radius"] > 0]
        share = (fitted["radius"] / fitted["r_inf"]).fillna(0).clip(upper=MOST)
        x = fitted["radius"] / np.sqrt(1 - share**2)
        far_below = share <= SHARE
        logs = np.log(x) - np.log(fitted["p"] / (fitted["n"] * fitted["d"])) / 2
        levels = _means(logs, fitted) | _means(logs[far_below], fitted[far_below])

        known = cells[cells["r_inf"].notna()]
        far = np.full(3, np.nan)
        if len(known):
            n, d = known["n"].to_numpy(float), known["d"].to_numpy(float)
            far = np.linalg.lstsq(_apart(n, d), np.log(known["r_inf"].to_numpy(float)))[0]
        formula = radius_law(cells["p"], cells["n"], cells["d"], 1.0)
        return cls(
            str(table["problem"].iloc[0]),
            {curve: float(np.exp(log)) for curve, log in levels.items()},
            _means(cells["r_inf"], cells),
            far,
            float((cells["r_law"] / formula).median()),
        )

    def rows(self, cells: Sequence[Searched], seeds: int) -> pd.DataFrame:
        """Return a row for each cell and seed, with the columns that `reports.frontier.placed`
        and the choice of rows for a fit read."""
        return pd.DataFrame([self._row(cell, seed) for cell in cells for seed in range(seeds)])

    def _row(self, cell: Searched, seed: int) -> dict[str, Any]:
        constant = self.constants.get(cell.curve, float(np.median([*self.constants.values()])))
        ceiling = self.ceilings.get(cell.curve, np.nan)
        if np.isnan(ceiling):
            ceiling = float(np.exp(_apart(np.array([cell.n]), np.array([cell.d]))[0] @ self.far))
        x = constant * (cell.p / (cell.n * cell.d)) ** 0.5
        bent = x if np.isnan(ceiling) else x / (1 + (x / ceiling) ** 2) ** 0.5
        return {
            "problem": self.problem,
            "curve": cell.curve,
            "cell": f"{cell.curve} p={cell.p}",
            "n": cell.n,
            "d": cell.d,
            "p": cell.p,
            "depth": cell.depth,
            "seed": seed,
            "radius": bent,
            "r_inf": ceiling,
            "r_law": self.law * radius_law(cell.p, cell.n, cell.d, 1.0),
        }


def _means(values: pd.Series, cells: pd.DataFrame) -> dict[str, float]:
    """Return the mean of the values of each curve."""
    return {str(curve): float(own.mean()) for curve, own in values.groupby(cells["curve"])}


def _apart(n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return the columns (K, 3) of the fit of r∞."""
    return np.column_stack([np.ones(len(n)), 1 / d, np.log(n) / d])
