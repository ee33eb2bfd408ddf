"""Exchange comes near the best choice of all, spends no more than the budget, and no choice is
cheaper than the bound says.

Run alone: python -m pytest tests/reports/suggest/test_choice.py
"""

from itertools import combinations

import numpy as np
import pytest

from reports.suggest.choice import choose
from reports.suggest.greedy import greedy
from reports.suggest.surface_design import Surface, SurfaceDesign
from tests.benchmarks.suggest_bound import least_cost

SURFACE = Surface(1.7, 400.0, 400.0, 0.34, 0.28, sigma=0.005)
N, D = (v.ravel() for v in np.meshgrid(1e7 * 3.0 ** np.arange(3), 1e9 * 3.0 ** np.arange(3)))
MOVES = (
    np.array([5e6, 5e6, 1.7e7, 3e7, 9e7, 2e8, 2e8, 2e8, 1.7e7, 5e7, 5e6]),
    np.array([1e9, 2e10, 5e8, 5e8, 5e8, 5e8, 2e9, 2e10, 2e10, 2e10, 5e8]),
)
COSTS = (MOVES[0] * MOVES[1] / 1e16).tolist()


def every(design: SurfaceDesign) -> list[tuple[float, float]]:
    """Return cost and half-width of every choice of moves."""
    found = []
    for count in range(len(COSTS) + 1):
        for moves in combinations(range(len(COSTS)), count):
            after = design
            for move in moves:
                after = after.after(move)
            found.append((sum(COSTS[move] for move in moves), after.half_width()))
    return found


@pytest.mark.parametrize("exponent", ["alpha", "beta", "compute"])
def test_exchange_comes_near_the_best_of_all_choices(exponent: str):
    design = SurfaceDesign.of(SURFACE, exponent, (N, D), MOVES)
    all_choices = every(design)
    for budget in (5.0, 20.0, 60.0, 200.0, 500.0):
        chosen, reached = choose(design, COSTS, budget)
        best = min(half for cost, half in all_choices if cost <= budget)
        assert len(set(chosen)) == len(chosen)
        assert sum(COSTS[move] for move in chosen) <= budget
        assert reached.half_width() <= 1.07 * best
        assert reached.half_width() <= greedy(design, COSTS, budget)[1].half_width()


def test_exchange_gives_up_what_later_moves_make_needless():
    """Of some budget, greedy choice is beaten."""
    design = SurfaceDesign.of(SURFACE, "alpha", (N, D), MOVES)
    shares = [
        choose(design, COSTS, budget)[1].half_width()
        / greedy(design, COSTS, budget)[1].half_width()
        for budget in np.geomspace(2, 500, 30)
    ]
    assert min(shares) < 0.95


def test_the_first_of_the_chosen_narrows_most_for_its_cost():
    design = SurfaceDesign.of(SURFACE, "beta", (N, D), MOVES)
    chosen, reached = choose(design, COSTS, 200.0)
    gains = [
        np.log(design.half_width() / design.after(move).half_width()) / COSTS[move]
        for move in chosen
    ]
    assert gains[0] == max(gains)
    after = design
    for move in chosen:
        after = after.after(move)
    assert after.half_width() == pytest.approx(reached.half_width())


@pytest.mark.slow
@pytest.mark.parametrize("exponent", ["alpha", "beta", "compute"])
def test_no_choice_is_cheaper_than_the_bound(exponent: str):
    design = SurfaceDesign.of(SURFACE, exponent, (N, D), MOVES)
    all_choices = every(design)
    for share in (0.4, 0.3):
        target = share * design.half_width()
        least = min(cost for cost, half in all_choices if half <= target)
        bound = least_cost(design, np.array(COSTS), target, least * 1.5)
        assert 0.4 * least < bound <= least * (1 + 1e-6)
