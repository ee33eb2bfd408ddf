"""Predicted cost of narrowing an exponent: `suggest`'s choice beside V-optimal choice and the next
rung of the grid, on simulated truths of designs that people use.

    python -m tests.benchmarks.suggest [slopes|surfaces|tables|searches]

The next rung (the next larger size of every curve; the next larger N at every D and the next larger
D at every N; the next budget of a table) sets the half-width to reach. The other two choose among
the same moves plus sizes and tokens in between, from a fit to noisy runs, for the least budget that
reaches it. What counts is the half-width at the truth. V-optimal choice lowers the mean variance of
the predicted measure per cost (Pronzato & Pázman 2013), by the same greedy choice and exchanges.
A trial of a curve costs n·p and a fixed part for its measures, that of the median trial; a run of a
surface or table 6·N·D. `suggest_searches` has those for the most robust fit.
"""

import math
import sys
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple, Self

import numpy as np

from reports.fits.scaling import Scaling, fit_scaling
from reports.scaling.fitting import fit_form
from reports.scaling.points import Points
from reports.suggest.choice import choose
from reports.suggest.greedy import Design, greedy
from reports.suggest.slope_design import Place, SlopeDesign
from reports.suggest.surface_design import EXPONENTS, Surface, SurfaceDesign
from reports.suggest.table_runs import candidates

DRAWS = 3
STEP = 1.02
"""Factor to which the budget is found that reaches the target."""
NOISE = 0.004
"""Standard deviation of a run's log loss."""


class Costs(NamedTuple):
    """What each way pays for the half-width of the next rung; infinite where it does not reach
    it."""

    rung: float
    v_optimal: float
    suggest: float


class Predicted(NamedTuple):
    """A design judged by V-optimal choice: its half-width is the mean variance of what it
    predicts."""

    design: Any
    variance: Callable[[Any], float]

    def half_width(self) -> float:
        return self.variance(self.design)

    def after(self, move: int) -> Self:
        return self._replace(design=self.design.after(move))


def cost_to_reach(target: float, costs: np.ndarray, truth: Design, guess: Design) -> float:
    """Return the cost of the cheapest choice found whose half-width at the truth is `target`.

    The choice is `suggest`'s for a budget, from the guess. Budgets are doubled until one reaches
    the target, and then halved in to STEP. Greedy choice without a budget is tried, too.
    """
    prices = costs.tolist()
    cheapest = _cost_of_greedy(target, prices, truth, guess)

    def reaches(budget: float) -> bool:
        nonlocal cheapest
        chosen, _ = choose(guess, prices, budget)
        judged = truth
        for move in chosen:
            judged = judged.after(move)
        enough = judged.half_width() <= target * (1 + 1e-9)
        if enough:
            cheapest = min(cheapest, sum(prices[move] for move in chosen))
        return enough

    high = min(prices)
    while not reaches(high):
        if high > sum(prices):
            return cheapest
        high *= 2
    low = high / 2
    while high / low > STEP:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return cheapest


def _cost_of_greedy(target: float, prices: Sequence[float], truth: Design, guess: Design) -> float:
    """Return the cost of greedy choice up to the target; infinite where it never gets there."""
    paid = 0.0
    for move in greedy(guess, prices, math.inf)[0]:
        truth = truth.after(move)
        paid += prices[move]
        if truth.half_width() <= target * (1 + 1e-9):
            return paid
    return math.inf


def ways(
    truth: Design, guess: Design, predicted: Design, costs: np.ndarray, rung: Sequence[int]
) -> Costs:
    """Return the costs of the three ways. predicted: the guess as V-optimal choice judges it."""
    reached = truth
    for move in rung:
        reached = reached.after(move)
    target = reached.half_width()
    return Costs(
        float(costs[list(rung)].sum()),
        cost_to_reach(target, costs, truth, predicted),
        cost_to_reach(target, costs, truth, guess),
    )


# Slopes of curves


def curves(count: int, sizes: np.ndarray, seeds: int, tau: float, noise: float, rng) -> Costs:
    """Return the costs for `count` curves of n samples, doubling, and sizes p past the onset."""
    n = 128.0 * 2 ** np.arange(count)
    places = [Place(j, np.log(p), seeds) for j in range(count) for p in sizes]
    moves, costs, rung = [], [], []
    fixed = float(np.median(n) * np.median(sizes))
    step = sizes[-1] / sizes[-2]
    between = np.sqrt(sizes[1:] * sizes[:-1])
    for j in range(count):
        for p in (*between, sizes[-1] * step):
            if p > sizes[-1]:
                rung.append(len(moves))
            moves.append([Place(j, np.log(p), seeds)])
            costs.append(seeds * (fixed + n[j] * p))
    for k, samples in enumerate(np.sqrt(n[1:] * n[:-1])):
        chosen = [sizes[0], sizes[1], sizes[-2], sizes[-1]]
        moves.append([Place(count + k, np.log(p), seeds) for p in chosen])
        trained = [sizes[0] / step, *chosen]  # the first enters no fit
        costs.append(seeds * (fixed * len(trained) + samples * sum(trained)))

    truth = SlopeDesign.of(places, tau**2, noise**2, moves)
    # what a fit to these curves would estimate
    freedom = count * (len(sizes) - 2)
    own_noise = noise**2 * rng.chisquare(freedom) / freedom
    sampling = own_noise * float((1 / truth.spreads).mean())
    true_sampling = tau**2 + noise**2 * float((1 / truth.spreads).mean())
    total = true_sampling * rng.chisquare(count - 1) / (count - 1)
    guess = truth._replace(tau2=max(0.0, total - sampling), noise=own_noise)

    price = np.array(costs)
    region = [Place(j, x, 0) for j in range(count) for x in np.log(sizes)]

    by_variance = Predicted(guess, lambda design: variance_of_lines(design, region))
    return ways(truth, guess, by_variance, price, rung)


def variance_of_lines(design: SlopeDesign, region: Sequence[Place]) -> float:
    """Return the mean variance of the curves' predicted lines over the region."""
    w, wx, wxx = design.sums.T
    variances = []
    for curve, x, _ in region:
        mean = wx[curve] / w[curve]
        spread = wxx[curve] - w[curve] * mean**2
        variances.append(1 / w[curve] + (x - mean) ** 2 / spread)
    return design.noise * float(np.mean(variances))


# Surfaces of loss

TRUTHS = {
    "Hoffmann et al.": (1.69, 406.4, 410.7, 0.34, 0.28),
    "Besiroglu et al.": (1.82, 482.0, 2085.4, 0.348, 0.366),
}


def grid(sizes: int, tokens: int, first: tuple[float, float], ratio: float) -> tuple:
    """Return N and D of a grid."""
    n, d = first[0] * ratio ** np.arange(sizes), first[1] * ratio ** np.arange(tokens)
    pairs = np.array(list(product(n, d)))
    return pairs[:, 0], pairs[:, 1]


def isoflop(budgets: int, sizes: int, first: float, ratio: float) -> tuple:
    """Return N and D of budgets of FLOPs, three apart by `ratio`, D = C/(6N)."""
    compute = first * ratio ** np.arange(budgets)
    n, d = [], []
    for c in compute:
        best = np.sqrt(c / 6 / 20)
        for k in np.linspace(-1, 1, sizes):
            n.append(best * 4**k)
            d.append(c / 6 / n[-1])
    return np.array(n), np.array(d)


def steps(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the values, those in between, and the next larger one."""
    own = np.unique(np.round(values, 6))
    above = own[-1] * (own[-1] / own[0]) ** (1 / (len(own) - 1))
    return np.concatenate([own, np.sqrt(own[1:] * own[:-1]), [above]]), above


def fitted(runs: tuple, true: Surface, rng: np.random.Generator) -> Surface | None:
    """Return a fit to noisy runs of a surface, or None where there is none."""
    n, d = runs
    noisy = np.exp(true.log_loss(n, d) + true.sigma * rng.standard_normal(len(n)))
    fit = fit_scaling(n, d, noisy)
    if not isinstance(fit, Scaling) or min(fit.alpha.value, fit.beta.value) < 0.02:
        return None
    return Surface(
        fit.E.value, fit.A.value, fit.B.value, fit.alpha.value, fit.beta.value, true.sigma
    )


def surface(runs: tuple, true: Surface, guessed: Surface, exponent: str) -> Costs:
    """Return the costs for a surface, chosen by the guess and judged at the truth."""
    n, d = runs
    sizes, largest = steps(n)
    tokens, most = steps(d)
    pairs = np.array([(a, b) for a in sizes for b in tokens if a * b <= 1.01 * largest * most])
    moves = (pairs[:, 0], pairs[:, 1])
    price = 6 * pairs.prod(1)
    rung = [
        k
        for k, (a, b) in enumerate(pairs)
        if (a == largest and b in tokens[: len(np.unique(np.round(d, 6)))])
        or (b == most and a in sizes[: len(np.unique(np.round(n, 6)))])
    ]
    truth = SurfaceDesign.of(true, exponent, runs, moves)
    guess = SurfaceDesign.of(guessed, exponent, runs, moves)
    region = guessed.jacobian(n, d)

    by_variance = Predicted(guess, lambda design: spread_over(design, region))
    return ways(truth, guess, by_variance, price, rung)


def spread_over(design: SurfaceDesign, region: np.ndarray) -> float:
    """Return the mean variance of predictions over a region (K, 5), in units of σ²."""
    return float(
        np.einsum("ki,ij,kj->k", region, np.linalg.pinv(design.information), region).mean()
    )


# Tables of anybody's runs


def tables(rng: np.random.Generator) -> None:
    """As `suggest_runs` chooses: its candidates, and its fit without intervals."""
    for (name, (runs, rung)), (truth, values) in product(tables_of_runs().items(), TRUTHS.items()):
        true = Surface(*values, sigma=NOISE)
        for exponent in EXPONENTS:
            found = []
            for _ in range(DRAWS):
                guess = refitted(runs, true, rng)
                if guess is not None:
                    found.append(next_runs(runs, rung, true, guess, exponent))
            print(line(f"{exponent}: table, {name}, {truth}", found), flush=True)


def tables_of_runs() -> dict[str, tuple[tuple, tuple]]:
    """Return the runs of each table, and those of its next rung."""
    square = grid(5, 5, (1e7, 2e8), 2.5)
    larger = grid(6, 6, (1e7, 2e8), 2.5)
    new = (larger[0] > 1.01 * square[0].max()) ^ (larger[1] > 1.01 * square[1].max())
    budgets = isoflop(4, 7, 1e17, 6.0)
    return {
        "grid 5 × 5": (square, (larger[0][new], larger[1][new])),
        "4 budgets × 7": (budgets, isoflop(1, 7, 1e17 * 6.0**4, 6.0)),
    }


def refitted(runs: tuple, true: Surface, rng: np.random.Generator) -> Surface | None:
    """Return the surface that `unilaw fit` finds in noisy runs, or None where a term vanishes."""
    n, d = runs
    noisy = np.exp(true.log_loss(n, d) + true.sigma * rng.standard_normal(len(n)))
    fit = fit_form("chinchilla", Points({"N": n, "D": d}, noisy), intervals=False)
    if min(fit[key].value for key in "AB") <= 0:
        return None
    return Surface(*(fit[key].value for key in ("E", "A", "B", "alpha", "beta")), sigma=true.sigma)


def next_runs(runs: tuple, rung: tuple, true: Surface, guessed: Surface, exponent: str) -> Costs:
    """Return the costs for a table. The runs of the rung may be chosen by all."""
    more = np.concatenate([np.column_stack(rung), candidates(*runs)])
    moves = (more[:, 0], more[:, 1])
    truth = SurfaceDesign.of(true, exponent, runs, moves)
    guess = SurfaceDesign.of(guessed, exponent, runs, moves)
    region = guessed.jacobian(*runs)
    first = range(len(rung[0]))
    by_variance = Predicted(guess, lambda design: spread_over(design, region))
    return ways(truth, guess, by_variance, 6 * more.prod(1), first)


# The lines that are printed


def line(name: str, found: Sequence[Costs]) -> str:
    if not found:
        return f"{name:58} no fit"
    rung = float(np.median([costs.suggest / costs.rung for costs in found]))
    v = float(np.median([costs.suggest / costs.v_optimal for costs in found]))
    words = "" if max(rung, v) <= 0.8 else "   less than 20 % saved"
    return f"{name:58} {rung:10.2g} {v:10.2f} {len(found):5}{words}"


def slopes(rng: np.random.Generator) -> None:
    for count, sizes, seeds in ((3, 8, 2), (4, 8, 3), (9, 6, 2)):
        for tau, noise in ((0.0, 0.08), (0.05, 0.08), (0.1, 0.05)):
            p = 200.0 * 2 ** np.arange(sizes)
            found = [curves(count, p, seeds, tau, noise, rng) for _ in range(DRAWS)]
            name = f"slope: {count} curves × {sizes} sizes × {seeds} seeds, τ {tau}, σ {noise}"
            print(line(name, found), flush=True)


def surfaces(rng: np.random.Generator) -> None:
    designs = {
        "grid 5 × 5": grid(5, 5, (1e7, 2e8), 2.5),
        "ladder of 3 budgets × 5": isoflop(3, 5, 1e17, 10.0),
        "ladder of 4 budgets × 7": isoflop(4, 7, 1e17, 6.0),
    }
    for (name, runs), (truth, values) in product(designs.items(), TRUTHS.items()):
        true = Surface(*values, sigma=NOISE)
        guesses = [fitted(runs, true, rng) for _ in range(DRAWS)]
        for exponent in EXPONENTS:
            found = [surface(runs, true, own, exponent) for own in guesses if own is not None]
            print(line(f"{exponent}: {name}, {truth}", found), flush=True)


def main() -> None:
    rng = np.random.default_rng(1)
    print("cost of suggest's choice for the half-width of the next rung, over that of …")
    print(f"{'design':58} {'next rung':>10} {'V-optimal':>10} {'draws':>5}")
    from tests.benchmarks.suggest_searches import searches

    parts = {"slopes": slopes, "surfaces": surfaces, "tables": tables, "searches": searches}
    for part in sys.argv[1:] or parts:
        parts[part](rng)


if __name__ == "__main__":
    main()
