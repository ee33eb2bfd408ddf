"""The expected half-width of the frontier's constant, or of an exponent of its radii, as searches
are added.

The rows that enter are chosen by the report's own functions, from the table of radii with those
that are expected of new cells (`expected_radii`), curve by curve: no rule looks beyond one curve
but that the exponent of d is fitted to the least depth. The half-width is that of the report's own
estimator, with the variances of today's rows (`frontier_estimators`).
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import pandas as pd

from reports.frontier import placed
from reports.frontier_answer import FrontierFit, at_one_ratio, climbing, levelled
from reports.search_gap import GapSlope
from reports.suggest.frontier_estimators import Cells, MeanOfCurves, SharedSlope

CONSTANT, OF_D, OF_P = "frontier-constant", "frontier-d", "frontier-p"
QUANTITIES = (CONSTANT, OF_D, OF_P)
"""What can be narrowed: r*·√(n·d/p), and the exponents of d at fixed p/n and of p."""

COLUMNS = ["problem", "curve", "cell", "n", "d", "p", "depth", "seed", "radius", "r_inf", "r_law"]
"""Of the table of radii: what `placed` and the choice of rows read."""


class FrontierDesign(NamedTuple):
    """curves: the cells that count, by curve. measured: today's radii by curve. moves: each the
    rows that it adds, of one curve. added: the moves taken, by curve. seen: cells by curve and
    moves, found before. error: the estimator with its variances. value: the present estimate. gap:
    what the search gap adds to an exponent's interval, None where it adds nothing."""

    quantity: str
    curves: dict[str, Cells]
    measured: dict[str, pd.DataFrame]
    moves: Sequence[pd.DataFrame]
    added: dict[str, tuple[int, ...]]
    seen: dict[tuple[str, tuple[int, ...]], Cells]
    error: MeanOfCurves | SharedSlope
    value: float
    gap: GapSlope | None

    @classmethod
    def of(cls, fit: FrontierFit, quantity: str, moves: Sequence[pd.DataFrame]) -> "FrontierDesign":
        """Return the design of the searches that a fit rests on."""
        gap = None
        if quantity == CONSTANT:
            assert fit.constant is not None
            value = fit.constant.value
        elif quantity == OF_D:
            value, gap = fit.dimension.slope, fit.gap and fit.gap.of_d
        else:
            value, gap = fit.size.slope, fit.gap and fit.gap.of_p

        table = fit.rows[COLUMNS]
        if quantity == OF_D:  # deeper nets do not count
            least = at_one_ratio(fit.rows)["depth"].min()
            table = table[_is_shallow(table, least)]
            moves = [rows[_is_shallow(rows, least)] for rows in moves]
        measured = {str(curve): rows for curve, rows in table.groupby("curve")}
        curves = {curve: _cells(quantity, rows) for curve, rows in measured.items()}
        error = _error(placed(table), quantity)
        return cls(quantity, curves, measured, moves, {}, {}, error, value, gap)

    def half_width(self) -> float:
        own = [cells for cells in self.curves.values() if len(cells.x)]
        if isinstance(self.error, MeanOfCurves):
            return self.value * self.error.half_width(np.array([len(cells.x) for cells in own]))

        half = self.error.half_width(Cells(*map(np.concatenate, zip(*own, strict=True))))
        if self.gap is None or not np.isfinite(half):
            return half
        low, high = self.gap.widen(self.value, self.value - half, self.value + half)
        return (high - low) / 2

    def after(self, move: int) -> Self:
        if self.moves[move].empty:
            return self
        curve = str(self.moves[move]["curve"].iloc[0])
        taken = tuple(sorted((*self.added.get(curve, ()), move)))
        if (curve, taken) not in self.seen:
            today = [self.measured[curve]] if curve in self.measured else []
            grown = pd.concat([*today, *(self.moves[k] for k in taken)], ignore_index=True)
            self.seen[curve, taken] = _cells(self.quantity, grown)
        return self._replace(
            curves=self.curves | {curve: self.seen[curve, taken]},
            added=self.added | {curve: taken},
        )


def _is_shallow(rows: pd.DataFrame, least: float) -> pd.Series:
    return rows["depth"].isna() | rows["depth"].eq(least)


def _cells(quantity: str, rows: pd.DataFrame) -> Cells:
    """Return the cells of one curve that count."""
    chosen, x = _chosen(placed(rows), quantity)
    _, first, cell = np.unique(chosen["cell"], return_index=True, return_inverse=True)
    return Cells(x[first], chosen["group"].to_numpy()[first], np.bincount(cell))


def _error(table: pd.DataFrame, quantity: str) -> MeanOfCurves | SharedSlope:
    """Return the variances of today's radii."""
    chosen, x = _chosen(table, quantity)
    radius = chosen["radius"].to_numpy(float)
    group, cell = chosen["group"].to_numpy(), chosen["cell"].to_numpy()
    if quantity != CONSTANT:
        return SharedSlope.of(x, np.log(radius), group, cell)
    logs = pd.Series(np.log(radius / np.sqrt(chosen["by_law"].to_numpy(float))))
    return MeanOfCurves.of(
        pd.Series(group).groupby(cell).first().to_numpy(), logs.groupby(cell).mean().to_numpy()
    )


def _chosen(table: pd.DataFrame, quantity: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows that a quantity is estimated from, with `group`, and the logarithm (N,) of
    what it is an exponent of, or of p."""
    if quantity == OF_D:
        rows = at_one_ratio(table)
        return rows, np.log(rows["d"].to_numpy(float))
    rows = levelled(table) if quantity == CONSTANT else climbing(table)[0]
    return rows.assign(group=rows["curve"]), np.log(rows["p"].to_numpy(float))
