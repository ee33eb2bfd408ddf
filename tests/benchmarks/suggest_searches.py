"""Predicted cost of narrowing what searches for the most robust fit say: `suggest`'s choice beside
V-optimal choice and the next rung, on planted frontiers.

    python -m tests.benchmarks.suggest searches

The next rung is the next larger size of every curve, for the constant, and the next larger
dimension at every n, for the exponents; of these the cells that narrow anything. V-optimal choice
lowers the mean variance of ln r predicted over today's cells by a plane in ln p, ln n and ln d. A
search costs the seconds that those of reports/examples/frontier took. What counts is the half-width
with the planted variances, and with planted radii of the new cells.
"""

from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd

from harness.errors import UserError
from reports.evidence import read_evidence
from reports.frontier_answer import FrontierFit
from reports.suggest.expected_radii import ExpectedRadii, Searched
from reports.suggest.frontier_design import CONSTANT, OF_D, OF_P, FrontierDesign
from reports.suggest.frontier_estimators import MeanOfCurves, SharedSlope
from reports.suggest.moves import Move, moves
from reports.suggest.question import ask
from reports.suggest.search_seconds import SearchSeconds
from tests import ROOT
from tests.benchmarks.suggest import DRAWS, Costs, line, ways
from tests.reports.planted_frontiers import (
    BETWEEN_CELLS,
    BETWEEN_SEEDS,
    SEEDS,
    TRUTHS,
    Shape,
    Truth,
    planted,
    shapes,
)

LAW = TRUTHS["law"]


class Plane(NamedTuple):
    """Cells as V-optimal choice judges them. today (K, 4): columns of the plane at today's cells.
    information (4, 4): of all cells. of_moves: that of each move."""

    today: np.ndarray
    information: np.ndarray
    of_moves: list[np.ndarray]

    def half_width(self) -> float:
        """Return the sum of the variances predicted over today's cells. Of a store with one n, the
        plane's slope in n is not determined, and not needed."""
        inverse = np.linalg.pinv(self.information, rcond=1e-10, hermitian=True)
        return float(np.einsum("ki,ij,kj->", self.today, inverse, self.today))

    def after(self, move: int) -> Self:
        return self._replace(information=self.information + self.of_moves[move])


def searches(rng: np.random.Generator) -> None:
    """Print a line for each quantity, on a design that has an estimate of it."""
    shallow = [shape for shape in shapes() if shape.depth == 1]
    at_once = [shape for shape in shallow if shape.n == 1024]
    own = read_evidence(ROOT / "reports/examples/frontier").frontier
    seconds = SearchSeconds.of(own[own["frontier"].eq("adversary")])
    for quantity, design, cells in (
        (CONSTANT, "the shipped sweep", shallow),
        (OF_D, "6 dimensions × 3 sizes", at_once),
        (OF_P, "the shipped sweep", shallow),
    ):
        draws = [planted(LAW, rng, cells, task="sphere", kind="a kind") for _ in range(DRAWS)]
        found = [costs(LAW, own, quantity, seconds) for own in draws]
        known = [own for own in found if own is not None and own.suggest > 0]
        print(line(f"{quantity}: {design}", known), flush=True)
        if len(known) < len(found):
            print("  (other draws: no such exponent, or the next rung narrows nothing)")


def costs(truth: Truth, evidence: Any, quantity: str, seconds: SearchSeconds) -> Costs | None:
    """Return what each way pays, or None where the report states no such quantity."""
    try:
        question = ask(evidence, quantity)
    except UserError:
        return None
    fit = question.fit
    assert isinstance(fit, FrontierFit)
    found = moves(question)
    expected = ExpectedRadii.of(fit.rows)
    cells = [_cells(move) for move in found]
    guessed = [expected.rows(own, SEEDS) for own in cells]
    true = [_true(rows, truth) for rows in guessed]

    guess = FrontierDesign.of(fit, quantity, guessed)
    variances = SharedSlope(BETWEEN_SEEDS**2, BETWEEN_CELLS**2)
    if quantity == CONSTANT:
        variances = MeanOfCurves(0.0, BETWEEN_CELLS**2 + BETWEEN_SEEDS**2 / SEEDS)
    judged = FrontierDesign.of(fit, quantity, true)._replace(error=variances)

    now = judged.half_width()
    rung = [
        k
        for k, move in enumerate(found)
        if _is_rung(move, cells[k][0], fit.rows, quantity) and judged.after(k).half_width() < now
    ]
    today = _columns(fit.rows)
    of_moves = [columns.T @ columns for columns in map(_columns, guessed)]
    plane = Plane(today, today.T @ today, of_moves)
    price = np.array([SEEDS * sum(seconds.of_one(c.p, c.n, c.d) for c in own) for own in cells])
    return ways(judged, guess, plane, price, rung)


def _cells(move: Move) -> list[Searched]:
    shapes = [Shape(own["n"], own["d"], own["width"], own["depth"]) for own in move.cells]
    return [Searched(own.p, own.n, own.d, own.depth, move.curve) for own in shapes]


def _true(rows: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    """Return the rows at the planted radius, below the ceiling that is expected."""
    p, n, d, ceiling = (rows[name].to_numpy(float) for name in ("p", "n", "d", "r_inf"))
    law = np.array(list(map(truth.radius, p, n, d)))
    return rows.assign(radius=(law**-8 + ceiling**-8) ** (-1 / 8))


def _columns(rows: pd.DataFrame) -> np.ndarray:
    """Return the columns (K, 4) of a plane in ln p, ln n and ln d."""
    sizes = np.log(rows[["p", "n", "d"]].to_numpy(float))
    return np.column_stack([np.ones(len(sizes)), sizes - np.log([4000, 500, 100])])


def _is_rung(move: Move, cell: Searched, rows: pd.DataFrame, quantity: str) -> bool:
    """Return whether a move is part of the next rung."""
    if quantity != CONSTANT:
        of_n = rows[rows["n"].eq(cell.n)]
        return len(of_n) > 0 and cell.d > of_n["d"].max()
    curve = rows[rows["curve"].eq(cell.curve)]
    return len(curve) > 0 and cell.p > curve["p"].max()
