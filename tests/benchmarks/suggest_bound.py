"""The least that any choice of runs costs for a half-width, beside the choices that are made.

    python -m tests.benchmarks.suggest_bound

For tables of `tests.benchmarks.suggest`, where the truth is known to both, so that nothing but the
choice itself is judged.

Bound: with M the information of all runs, c·M⁻¹·c ≥ 2·v·c − v·M·v for every v. So added runs with
derivatives x whose variance is at most V have Σ(x·v)² ≥ 2·v·c − v·M₀·v − V, M₀ of today's runs. The
cheapest runs that cover this are a knapsack, and where shares of a run may be bought, a linear
programme, which costs no more. V depends on the number k of added runs by Student's quantile, so
there is a programme for each k. v is sought by the simplex method of Nelder and Mead; a poor v
makes the bound low, and never wrong.
"""

from itertools import product

import numpy as np
from scipy.optimize import linprog, minimize

from reports.suggest.greedy import quantile
from reports.suggest.surface_design import EXPONENTS, PARAMETERS, SurfaceDesign
from reports.suggest.table_runs import candidates
from tests.benchmarks.suggest import (
    NOISE,
    TRUTHS,
    Predicted,
    Surface,
    cost_to_reach,
    spread_over,
    tables_of_runs,
)

ROUNDS = 5
"""Times that v and the price of a run are improved in turn."""


def least_cost(design: SurfaceDesign, costs: np.ndarray, target: float, most: float) -> float:
    """Return a cost below which no choice of moves has the half-width `target`. most: the cost of a
    choice that has it, (M,) costs of the moves."""
    scale = 1 / np.sqrt(np.diag(design.information))
    root = np.linalg.cholesky(design.information * np.outer(scale, scale))
    rows = np.linalg.solve(root, (design.rows * scale).T).T * np.sqrt(design.trials)
    c = np.linalg.solve(root, design.c * scale)

    least, v = most, c
    for k in range(1, len(costs) + 1):
        if np.sort(costs)[:k].sum() >= most:
            break
        freedom = design.runs + k * design.trials - PARAMETERS
        variance = (target / (quantile(freedom) * design.sigma)) ** 2
        of_k, v = _of_runs(k, rows, c, costs / most, variance, v)
        least = min(least, most * of_k)
    return least


def _of_runs(
    k: int, rows: np.ndarray, c: np.ndarray, costs: np.ndarray, variance: float, v: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return a bound for exactly k moves, and the v that gives it. rows (M, 5), c (5,): where
    today's information is 1."""
    best, price = 0.0, 0.0
    for _ in range(ROUNDS):

        def negative(v: np.ndarray, price: float = price) -> float:
            covered = _cover((rows @ v) ** 2, costs - price, float(2 * v @ c - v @ v) - variance)
            return -min(covered + price * k, 10.0)

        v = minimize(negative, v, method="Nelder-Mead", options={"maxiter": 1500}).x
        gain, need = (rows @ v) ** 2, 2 * v @ c - v @ v - variance
        if need <= 0:
            break
        one = np.ones((1, len(costs)))
        found = linprog(costs, -(gain / need)[None], [-1], one, [k], bounds=(0, 1))
        if not found.success:  # no k moves cover the need
            return np.inf, v
        best = max(best, float(found.fun))
        price = (price + float(found.eqlin.marginals[0])) / 2
    return best, v


def _cover(gain: np.ndarray, costs: np.ndarray, need: float) -> float:
    """Return the least cost of shares of moves whose gains sum up to the need. Moves of negative
    cost are all taken."""
    free = costs <= 0
    paid, need = costs[free].sum(), need - gain[free].sum()
    if need <= 0:
        return float(paid)
    gain, costs = gain[~free], costs[~free]
    order = np.argsort(costs / np.maximum(gain, 1e-300))
    gained, spent = np.cumsum(gain[order]), np.cumsum(costs[order])
    last = int(np.searchsorted(gained, need))
    if last == len(order):
        return np.inf
    spare = (gained[last] - need) / gain[order[last]]
    return float(paid + spent[last] - spare * costs[order[last]])


def main() -> None:
    print("cost over that of V-optimal choice, truth known: suggest's choice, any choice at least")
    for (name, (runs, rung)), (truth, values) in product(tables_of_runs().items(), TRUTHS.items()):
        true = Surface(*values, sigma=NOISE)
        more = np.concatenate([np.column_stack(rung), candidates(*runs)])
        costs = 6 * more.prod(1)
        for exponent in EXPONENTS:
            design = SurfaceDesign.of(true, exponent, runs, (more[:, 0], more[:, 1]))
            reached = design
            for move in range(len(rung[0])):
                reached = reached.after(move)
            target = reached.half_width()

            region = true.jacobian(*runs)
            by_variance = Predicted(design, lambda own, r=region: spread_over(own, r))
            v_optimal = cost_to_reach(target, costs, design, by_variance)
            own = cost_to_reach(target, costs, design, design)
            least = least_cost(design, costs, target, max(own, v_optimal))
            print(
                f"{exponent}: table, {name}, {truth:16} {own / v_optimal:5.2f}"
                f" {least / v_optimal:5.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
