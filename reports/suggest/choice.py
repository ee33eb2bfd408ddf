"""Choose the moves that a budget pays for: greedily, and then by exchange.

    chosen, reached = choose(design, costs, budget)

Greedy choice keeps early moves that later ones make needless. So each move is given up in turn,
what it cost is spent greedily again, and the change is kept where the interval is narrower (an
exchange as of Fedorov 1972). The end is no proven optimum: a choice cheaper by 1 to 14 % may exist
(`python -m tests.benchmarks.suggest_bound`).
"""

import math
from collections.abc import Sequence

from reports.suggest.greedy import Design, Own, greedy, log_half_width

LEAST = 1e-6
"""Share of the half-width by which an exchange must narrow it."""


def choose(design: Own, costs: Sequence[float], budget: float) -> tuple[list[int], Own]:
    """Return the moves, the most narrowing for its cost first, and the design with all of them.
    Arguments are those of `greedy`."""
    chosen, reached = greedy(design, costs, budget)
    while (better := _exchanged(design, costs, budget, chosen, reached)) is not None:
        chosen, reached = better
    return _in_order(design, costs, chosen), reached


def _exchanged(
    design: Own, costs: Sequence[float], budget: float, chosen: Sequence[int], reached: Own
) -> tuple[list[int], Own] | None:
    """Return the first narrower choice without one of the moves, None where there is none. The
    dearest moves are given up first."""
    limit = log_half_width(reached) - LEAST
    for dropped in sorted(chosen, key=lambda move: -costs[move]):
        kept = [move for move in chosen if move != dropped]
        left = budget - sum(costs[move] for move in kept)
        more, other = greedy(_with(design, kept), costs, left, without=chosen)
        if log_half_width(other) < limit:
            return kept + more, other
    return None


def _with(design: Own, moves: Sequence[int]) -> Own:
    for move in moves:
        design = design.after(move)
    return design


def _in_order(design: Design, costs: Sequence[float], chosen: Sequence[int]) -> list[int]:
    """Return the moves in the order in which they narrow most for their cost."""
    left, ordered = list(chosen), []
    while left:
        after = {move: design.after(move) for move in left}
        now = log_half_width(design)

        def gain(move: int, now: float = now, after: dict[int, Design] = after) -> float:
            narrowed = now - log_half_width(after[move])
            return -math.inf if math.isnan(narrowed) else narrowed / costs[move]

        best = max(left, key=gain)
        ordered.append(best)
        left.remove(best)
        design = after[best]
    return ordered
