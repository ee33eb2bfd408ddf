"""Choose moves one after another: each time the one that narrows an exponent most for its cost.

    chosen = greedy(design, costs, budget)

A design knows the expected half-width of one exponent's interval, and what it becomes after a move,
which is a trial or a few that only count together. This is a local c-optimal design (Pronzato &
Pázman 2013, ch. 5): the exponent's variance is that of the model linearised at its present fit.
Greedy choice of it per cost is no optimum; `reports.suggest.choice` goes on from it.
"""

import math
from collections.abc import Collection, Sequence
from functools import cache
from typing import Protocol, Self, TypeVar

from scipy.stats import t

from reports.fits.random_slope import LEVEL


class Design(Protocol):
    """Trials and the exponent that they determine."""

    def half_width(self) -> float:
        """Return the expected half-width of the exponent's 95 % interval; infinite where the trials
        do not determine it."""
        ...

    def after(self, move: int) -> Self:
        """Return the design with a move's trials added."""
        ...


Own = TypeVar("Own", bound=Design)


def greedy(
    design: Own, costs: Sequence[float], budget: float, without: Collection[int] = ()
) -> tuple[list[int], Own]:
    """Return the moves in the order of their choice, and the design with them.

    costs: of each move, in the unit of the budget. A move is taken once, and none of `without`. The
    choice ends where no move that the rest of the budget pays for narrows the interval, and where
    its half-width is 0.
    """
    chosen: list[int] = []
    left = budget
    open_moves = [m for m, cost in enumerate(costs) if cost <= budget and m not in without]
    while open_moves and design.half_width() > 0:
        now = log_half_width(design)
        best, best_gain, best_design = -1, 0.0, design
        for move in open_moves:
            after = design.after(move)
            gain = (now - log_half_width(after)) / costs[move]
            if gain > best_gain:
                best, best_gain, best_design = move, gain, after
        if best < 0:
            break

        chosen.append(best)
        design = best_design
        left -= costs[best]
        open_moves = [move for move in open_moves if move != best and costs[move] <= left]
    return chosen, design


@cache
def quantile(freedom: int) -> float:
    """Return the half-width of a 95 % interval of Student's t with error 1."""
    return float(t.ppf((1 + LEVEL) / 2, freedom))


def log_half_width(design: Design) -> float:
    half_width = design.half_width()
    return math.log(half_width) if half_width else -math.inf
