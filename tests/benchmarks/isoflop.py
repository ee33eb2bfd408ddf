"""How well isoFLOP minima and their exponent come back from planted surfaces, and budgets from
logged compute.

    python -m tests.benchmarks.isoflop              the tables, five minutes of one core
    python -m tests.benchmarks.isoflop Hoffmann steep --draws 10     surfaces whose name has a word

Surfaces: the form of Hoffmann et al. with published exponents and with α ≠ β, and Kaplan et al.'s
joint form, which is none of the fitted one. Four budgets, four times apart; the minimum lies up to
15 % of the range off the middle of the sizes. Beside `reports.fits.isoflop` stand a parabola and a
cubic in log N through the whole range of each budget, with their own least-squares intervals.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import stdtrit

from reports.fits.budgets import budgets_of
from reports.fits.isoflop import fit_budgets, size_exponent

SEED = 20261127
BUDGETS = 4
STEP = 4.0
"""Between the compute of neighbouring budgets."""
OFF = 0.15
SIZES = (5, 7, 9)
RANGES = (4, 16, 64)
NOISES = (0.002, 0.01)

Surface = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Loss at n parameters and d tokens."""


class Truth(NamedTuple):
    """A surface, and the compute of its first budget in FLOP."""

    name: str
    surface: Surface
    compute: float


class Ladder(NamedTuple):
    """Simulated runs, (K,) each, and what is to be found: log N of least loss of every budget, and
    its slope in log compute."""

    n: np.ndarray
    d: np.ndarray
    loss: np.ndarray
    budget: np.ndarray
    best: np.ndarray
    exponent: float


class Found(NamedTuple):
    """Of every budget log N of least loss and the ends of its interval (BUDGETS, 3), NaN where
    there is none; of the exponent (3,)."""

    best: np.ndarray
    exponent: np.ndarray


def chinchilla(e: float, a: float, b: float, alpha: float, beta: float) -> Surface:
    return lambda n, d: e + a * n**-alpha + b * d**-beta


TRUTHS = (
    Truth("Hoffmann, α .34 β .28", chinchilla(1.69, 406.4, 410.7, 0.34, 0.28), 1e19),
    Truth("Besiroglu, α .35 β .37", chinchilla(1.8172, 482.0, 2085.4, 0.3478, 0.3658), 1e19),
    Truth("bytes, α .48 β .28", chinchilla(1.3, 26.0, 70.0, 0.48, 0.28), 1e12),
    Truth("steep, α .60 β .20", chinchilla(1.5, 2000.0, 60.0, 0.6, 0.2), 1e12),
    Truth("Kaplan's joint form", lambda n, d: ((8.8e13 / n) ** (0.8) + 5.4e13 / d) ** 0.095, 1e19),
)


def true_best(truth: Truth, compute: float) -> float:
    """Return log N of least loss at this compute."""
    middle = 0.5 * np.log(compute / 6)

    def loss(u: float) -> float:
        return float(np.log(truth.surface(np.exp(u), compute / 6 / np.exp(u))))

    found = minimize_scalar(loss, bounds=(middle - 9, middle + 9), options={"xatol": 1e-9})
    return float(found.x)


def ladder(
    truth: Truth, sizes: int, range_: float, noise: float, rng: np.random.Generator
) -> Ladder:
    """Draw the runs of one ladder from a planted surface. noise: standard deviation of log loss."""
    compute = truth.compute * STEP ** np.arange(BUDGETS)
    best = np.array([true_best(truth, c) for c in compute])
    spread = (np.linspace(-0.5, 0.5, sizes) + rng.uniform(-OFF, OFF)) * np.log(range_)
    n = np.exp(best[:, None] + spread).ravel()
    budget = np.repeat(np.arange(BUDGETS), sizes)
    d = compute[budget] / 6 / n
    loss = truth.surface(n, d) * np.exp(noise * rng.standard_normal(len(n)))
    x = np.log(compute) - np.log(compute).mean()
    return Ladder(n, d, loss, budget, best, float(x @ best / (x @ x)))


def ours(runs: Ladder) -> Found:
    budgets = fit_budgets(runs.n, runs.d, runs.loss, runs.budget)
    best = np.log([tuple(budget.best) for budget in budgets])
    exponent = size_exponent(budgets)
    return Found(best, np.full(3, np.nan) if exponent is None else np.array(exponent))


def polynomial(degree: int) -> Callable[[Ladder], Found]:
    """Return a fit of a polynomial in log N to each budget, with delta-method intervals, and least
    squares of the minima's logarithms."""

    def fit(runs: Ladder) -> Found:
        best = np.array([_minimum(runs, k, degree) for k in range(BUDGETS)])
        known = np.isfinite(best[:, 0])
        compute = [np.log(6 * runs.n * runs.d)[runs.budget == k].mean() for k in range(BUDGETS)]
        if known.sum() < 3:
            return Found(best, np.full(3, np.nan))
        x = np.array(compute)[known]
        x = x - x.mean()
        y = best[known, 0]
        slope = x @ y / (x @ x)
        missed = y - y.mean() - slope * x
        spare = len(y) - 2
        half = stdtrit(spare, 0.975) * np.sqrt(missed @ missed / spare / (x @ x))
        return Found(best, np.array([slope, slope - half, slope + half]))

    return fit


def _minimum(runs: Ladder, k: int, degree: int) -> np.ndarray:
    """Return log N at the polynomial's minimum between the ends of the sizes, with its interval."""
    u = np.log(runs.n[runs.budget == k])
    y = runs.loss[runs.budget == k]
    centre = u.mean()
    u = u - centre
    design = np.vander(u, degree + 1, increasing=True)
    c = np.linalg.lstsq(design, y, rcond=None)[0]
    places = np.linspace(u.min(), u.max(), 2001)
    lowest = int((np.vander(places, degree + 1, increasing=True) @ c).argmin())
    spare = len(u) - degree - 1
    if lowest in (0, len(places) - 1) or not spare:
        return np.full(3, np.nan)

    at = places[lowest]
    powers = np.arange(1, degree + 1)
    gradient = np.append(0, powers * at ** (powers - 1))
    bend = sum(p * (p - 1) * c[p] * at ** (p - 2) for p in range(2, degree + 1))
    variance = np.sum((y - design @ c) ** 2) / spare
    covariance = np.linalg.inv(design.T @ design) * variance
    half = stdtrit(spare, 0.975) * np.sqrt(gradient @ covariance @ gradient) / bend
    return centre + at + np.array([0, -half, half])


METHODS = {"ours": ours, "parabola": polynomial(2), "cubic": polynomial(3)}


class Score(NamedTuple):
    """found: share of budgets with an interval. error: root mean square of log N. held, held_a:
    shares of the intervals of N and of the exponent that hold the truth. half_a: median half-width
    of the exponent's."""

    found: float
    bias: float
    error: float
    held: float
    held_a: float
    half_a: float


def score(found: list[Found], truth: list[Ladder]) -> Score:
    best = np.array([own.best for own in found]) - np.array([own.best for own in truth])[:, :, None]
    slopes = np.array([own.exponent for own in found]) - np.array([[own.exponent] for own in truth])
    flat = best.reshape(-1, 3)
    ends = flat[np.isfinite(flat[:, 1])]
    sure = slopes[np.isfinite(slopes[:, 1])]
    nan = float("nan")
    return Score(
        len(ends) / len(flat),
        float(np.nanmedian(flat[:, 0])) if len(ends) else nan,
        float(np.sqrt(np.nanmean(flat[:, 0] ** 2))) if len(ends) else nan,
        float(((ends[:, 1] <= 0) & (ends[:, 2] >= 0)).mean()) if len(ends) else nan,
        float(((sure[:, 1] <= 0) & (sure[:, 2] >= 0)).mean()) if len(sure) else nan,
        float(np.median(sure[:, 2] - sure[:, 1]) / 2) if len(sure) else nan,
    )


def scores(truths: Iterable[Truth], draws: int) -> Iterator[tuple[Truth, str, dict[str, Score]]]:
    """Yield every design with the score of each method."""
    for truth, sizes, range_, noise in product(truths, SIZES, RANGES, NOISES):
        rng = np.random.default_rng(SEED)
        runs = [ladder(truth, sizes, range_, noise, rng) for _ in range(draws)]
        name = f"{truth.name}, {sizes} sizes over {range_}×, noise {100 * noise:g} %"
        yield (
            truth,
            name,
            {method: score([fit(own) for own in runs], runs) for method, fit in METHODS.items()},
        )


def whole_budgets(
    budgets: int, runs: int, step: float, jitter: float, strays: int, rng: np.random.Generator
) -> float:
    """Return the share of planted budgets that `budgets_of` gives back whole and unmixed. jitter:
    standard deviation of log compute within one; strays: runs anywhere between them."""
    planted = np.repeat(np.arange(budgets), runs)
    log_compute = planted * np.log(step) + jitter * rng.standard_normal(len(planted))
    between = rng.uniform(0, (budgets - 1) * np.log(step), strays)
    labels = budgets_of(np.exp(np.append(log_compute, between)))[: len(planted)]
    return float(
        np.mean(
            [
                len(set(labels[planted == k])) == 1
                and not set(labels[planted == k]) & set(labels[planted != k])
                for k in range(budgets)
            ]
        )
    )


CLUSTERS = (
    (26, 7, 1.2, 0.02, 0),
    (7, 7, 1.5, 0.02, 8),
    (7, 7, 3.0, 0.02, 8),
    (7, 7, 3.0, 0.05, 8),
    (5, 5, 2.06, 0.02, 8),
    (3, 5, 3.0, 0.001, 0),
)
"""Budgets, runs in each, step between them, jitter, and runs in between."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("words", nargs="*", help="surfaces whose name has one of them")
    parser.add_argument("--draws", type=int, default=200)
    asked = parser.parse_args()
    chosen = [t for t in TRUTHS if not asked.words or any(w in t.name for w in asked.words)]

    print("budgets × runs, step, jitter, strays: share of budgets given back whole")
    for design in CLUSTERS:
        rng = np.random.default_rng(SEED)
        share = np.mean([whole_budgets(*design, rng) for _ in range(asked.draws)])
        print(f"  {design}: {share:.3f}")

    print("\nbias and error in log N; coverage of N*; coverage and half-width of the exponent")
    known: dict[str, list[tuple[Truth, Score]]] = {method: [] for method in METHODS}
    for truth, name, by_method in scores(chosen, asked.draws):
        print(name)
        for method, own in by_method.items():
            known[method].append((truth, own))
            print(
                f"  {method:9} interval {own.found:4.2f}  bias {own.bias:+.3f}  error"
                f" {own.error:.3f}  N* {own.held:.2f}  exponent {own.held_a:.2f}"
                f" ± {own.half_a:.3f}",
                flush=True,
            )

    error = np.sqrt(0.05 * 0.95 / asked.draws)
    print(f"\ncoverage of 95 %, mean and least of the designs (standard error {error:.3f} each)")
    for truth, (method, own) in product(chosen, known.items()):
        of_truth = [score for own_truth, score in own if own_truth is truth]
        held = np.array([[score.held, score.held_a] for score in of_truth])
        mean, least = np.nanmean(held, axis=0), np.nanmin(held, axis=0)
        print(
            f"  {truth.name:24} {method:9} N* {mean[0]:.3f}, {least[0]:.2f};"
            f" exponent {mean[1]:.3f}, {least[1]:.2f}"
        )


if __name__ == "__main__":
    main()
