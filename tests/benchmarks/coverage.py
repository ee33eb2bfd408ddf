"""How often intervals cover the truth, in simulated designs, and how often the verdict's tests err.

    python -m tests.benchmarks.coverage              the tables of docs/inference.md
    python -m tests.benchmarks.coverage --draws 200

All draws of a design are one array and go through the report's own functions. Width: the median
width over that of the same mean with τ and σ known.
"""

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm, t

from reports.fits.clustered import ClusteredFit
from reports.fits.collapse import LEAST_FREEDOM, TESTS
from reports.fits.forms import fit_forms
from reports.fits.random_slope import (
    LEVEL,
    OWN_CURVES,
    CurveSlopes,
    curve_slopes,
    mean_slope,
    pool_spread,
)
from reports.selftest.designs import Spread
from reports.selftest.reference import knee_power
from reports.selftest.truths import Truth

SLOPE = 0.15
SIGMA = 0.06
"""Standard deviation of a cell's mean log value."""
STEP = np.log(1.7)
"""Between the log sizes of neighbouring cells."""
SEED = 20261127
CURVES = (1, 2, 3, 4, 5, 6, 8, 12, 16)
CELLS = (4, 6, 8, 12)
TAUS = (0.0, 0.03, 0.05)


class Design(NamedTuple):
    """A kind to judge and the kinds beside it. cells: of each curve. along: correlation between the
    errors of neighbouring cells of a curve."""

    name: str
    cells: Sequence[int]
    tau: float
    beside: Sequence[tuple[Sequence[int], float]] = ()
    along: float = 0.0


class Result(NamedTuple):
    """How often the interval covered the slope, and its median width over the one with τ and σ
    known."""

    name: str
    coverage: float
    width: float


def designs() -> list[Design]:
    """Return the designs of 1 to 16 curves with 4 to 12 cells, and harder ones."""
    found = []
    for along in (0.0, 0.5):
        for curves in CURVES:
            for cells in CELLS:
                for tau in TAUS:
                    name = f"{curves} × {cells} cells, τ {tau:g}"
                    name += ", errors correlated" if along else ""
                    beside = [([cells] * 3, tau)] * 2 if curves < OWN_CURVES else []
                    found.append(Design(name, [cells] * curves, tau, beside, along))

    for tau in TAUS:
        found += [
            Design(f"1 × 6 beside 5 × 6, τ {tau:g}", [6], tau, [([6] * 5, tau)]),
            Design(f"2 × 6 beside 4 × 6, τ {tau:g}", [6] * 2, tau, [([6] * 4, tau)]),
            Design(f"2 × 6 beside 2 × 6 and 2 × 6, τ {tau:g}", [6] * 2, tau, [([6] * 2, tau)] * 2),
            Design(f"1 × 4 beside 5 × 12, τ {tau:g}", [4], tau, [([12] * 5, tau)]),
            Design(f"1 × 12 beside 5 × 4, τ {tau:g}", [12], tau, [([4] * 5, tau)]),
            Design(f"4, 8 and 12 cells, τ {tau:g}", [4, 8, 12], tau),
            Design(f"3 × 4 and 3 × 12 cells, τ {tau:g}", [4] * 3 + [12] * 3, tau),
        ]
    for tau, other in ((0.01, 0.05), (0.05, 0.01)):
        found += [
            Design(f"3 × {cells}, τ {tau:g}, beside 3 × {cells} of τ {other:g}", [cells] * 3, tau)
            for cells in CELLS
        ]
    return found


def judge(design: Design, draws: int, seed: int) -> Result:
    """Simulate a design. Raise ValueError when its interval is refused."""
    rng = np.random.default_rng([SEED, seed])
    kind, error = simulate(rng, draws, design.cells, design.tau, design.along)
    others = [simulate(rng, draws, cells, tau, design.along)[0] for cells, tau in design.beside]
    fit = mean_slope(kind, pool_spread([kind, *others]) if others else None)
    if fit is None:
        raise ValueError(f"no interval for {design.name}")
    covered = (fit.low <= SLOPE) & (fit.high >= SLOPE)
    known = 2 * float(t.ppf((1 + LEVEL) / 2, np.inf)) * error
    return Result(design.name, float(covered.mean()), float(np.median(fit.high - fit.low)) / known)


def best_coverage(width: float, tau: float, curves: int = 5, own: int = 12, others: int = 4):
    """Return the most that any rule can cover at this τ for one curve of `own` cells beside
    `curves` of `others`, when its median width at τ = 0 is `width` times that with τ known.

    The rule may know the noise, and be infinitely wide wherever its half of narrow intervals does
    not fall. That half is best spent where the others' slopes scatter least (Neyman & Pearson).
    """
    of_own, of_others = (SIGMA**2 / (STEP**2 * c * (c**2 - 1) / 12) for c in (own, others))
    freedom = curves - 1
    narrow = chi2.cdf(chi2.median(freedom) * of_others / (of_others + tau**2), freedom)
    half = width * norm.ppf((1 + LEVEL) / 2) * of_own**0.5
    missed = 2 * norm.sf(half / (of_own + tau**2) ** 0.5)
    return 1 - narrow * missed


def simulate(
    rng: np.random.Generator, draws: int, cells: Sequence[int], tau: float, along: float
) -> tuple[CurveSlopes, float]:
    """Return the slopes of a kind's curves, and the true standard error of their mean."""
    curves = curves_of(cells)
    x = np.concatenate([STEP * np.arange(count) for count in cells])
    slopes = SLOPE + tau * rng.standard_normal((draws, len(cells)))
    y = np.empty((draws, len(x)))
    variance = 0.0
    for i, own in enumerate(curves):
        correlation = along ** np.abs(np.subtract.outer(own, own)) if along else np.eye(len(own))
        root = np.linalg.cholesky(correlation)
        error = SIGMA * rng.standard_normal((draws, len(own))) @ root.T
        y[:, own] = slopes[:, i, None] * x[own] + error
        dx = x[own] - x[own].mean()
        by_cell = dx / (dx @ dx)
        variance += tau**2 + SIGMA**2 * float(by_cell @ correlation @ by_cell)
    found = curve_slopes(x, y, np.ones(len(x)), curves)
    return found, variance**0.5 / len(cells)


def curves_of(cells: Sequence[int]) -> list[np.ndarray]:
    """Return the positions of each curve's cells."""
    return np.split(np.arange(sum(cells)), np.cumsum(cells)[:-1])


class CollapseDesign(NamedTuple):
    """Combinations of n and d with a true p/(n·d). scaled: sizes grow with n·d from curve to
    curve. level: how far the curves' levels scatter around the truth."""

    ns: int
    ds: int
    cells: int
    tau: float
    level: float
    scaled: bool

    @property
    def name(self) -> str:
        sizes = "with n·d" if self.scaled else "fixed"
        grid = f"{self.ns} n × {self.ds} d × {self.cells} cells, sizes {sizes}"
        return f"{grid}, τ {self.tau:g}, levels {self.level:g}"


def collapse_designs() -> list[CollapseDesign]:
    """Return grids of n and d with slopes and levels that scatter or do not."""
    return [
        CollapseDesign(*grid, tau, level, scaled)
        for grid in ((2, 3, 5), (3, 3, 4), (3, 3, 8), (4, 4, 6))
        for tau in (0.0, 0.03)
        for level in (0.0, 0.05)
        for scaled in (True, False)
    ]


def contradictions(design: CollapseDesign, draws: int, seed: int) -> tuple[float, float]:
    """Return how often the two intervals of `fit_collapse` contradict a true p/(n·d), and how often
    they contradict p/n."""
    rng = np.random.default_rng([SEED, seed])
    n, d = (
        v.ravel() for v in np.meshgrid(2.0 ** np.arange(design.ns), 2.0 ** np.arange(design.ds))
    )
    count = len(n)
    start = np.log(n * d) if design.scaled else np.zeros(count)
    steps = STEP * np.arange(design.cells)
    slopes = SLOPE + design.tau * rng.standard_normal((draws, count))
    y = (
        SLOPE * (start + steps.mean() - np.log(n * d))[:, None]
        + slopes[:, :, None] * (steps - steps.mean())
        + design.level * rng.standard_normal((draws, count, 1))
        + SIGMA * rng.standard_normal((draws, count, design.cells))
    ).reshape(draws, -1)

    log_n, log_d = np.repeat(np.log(n), design.cells), np.repeat(np.log(d), design.cells)
    x = (start[:, None] + steps).ravel()
    forms = np.column_stack([np.ones(len(x)), x, -log_n, -log_d])
    curves = curves_of([design.cells] * count)
    n_to_b, d_to_b, d_to_0 = ([0, -1, 1, 0], [0, -1, 0, 1], [0, 0, 0, 1])
    fit = ClusteredFit(forms, y, np.ones(len(x)), curves)
    by_law = excluded(fit, n_to_b) | excluded(fit, d_to_b)
    by_samples = excluded(fit, n_to_b) | excluded(fit, d_to_0)
    return float(by_law.mean()), float(by_samples.mean())


def excluded(fit: ClusteredFit, of: list[int]) -> np.ndarray:
    """Return, for every draw at once, whether the interval of a contrast excludes 0; a refused one
    does not."""
    contrast = fit.contrast(of)
    if contrast.of_design < LEAST_FREEDOM:
        return np.zeros(contrast.value.shape, bool)
    return np.abs(contrast.value) > contrast.half_width(1 - (1 - LEVEL) / TESTS)


SHAPES = {
    "power law": lambda z: SLOPE * z,
    "flat": lambda z: 0 * z,
    "A + B·ln p": lambda z: np.log1p(0.5 * (z - z.min())),
    "levelling": lambda z: 0.16 * np.minimum(z, 0),
    "broken, .16 and .03": lambda z: 0.16 * np.minimum(z, 0) + 0.03 * np.maximum(z, 0),
    "broken, .30 and -.05": lambda z: 0.30 * np.minimum(z, 0) - 0.05 * np.maximum(z, 0),
}
"""Planted truths in z = log(p/(n·d)), up to a level."""


def knees(shape: str, curves: int, cells: int, draws: int, seed: int) -> tuple[float, float, float]:
    """Return how often a knee counts, how often the interval of the broken form's knee covers 1,
    and that interval's median width in log p/(n·d). τ .025, cells on both sides of p = n·d."""
    rng = np.random.default_rng([SEED, seed])
    z = STEP * (np.arange(cells) - (cells - 1) / 2)
    table = pd.DataFrame(
        {
            "trial_id": "x",
            "curve": np.repeat(np.arange(curves), cells),
            "cell": np.arange(curves * cells),
            "p": np.tile(np.exp(z), curves) * 1e6,
            "n": 1e3,
            "d_ambient": 1e3,
        }
    )
    counted, covered, widths = [], [], []
    for _ in range(draws):
        own = 0.025 * rng.standard_normal((curves, 1)) * z
        y = SHAPES[shape](z) + own + SIGMA * rng.standard_normal((curves, cells))
        forms = fit_forms(table.assign(y=np.exp(y).ravel()), "y")
        counted.append(forms.knee is not None)
        if forms.broken:
            _, low, high = forms.broken.place
            covered.append(low <= 1 <= high)
            widths.append(np.log(high / low))
    return float(np.mean(counted)), float(np.mean(covered)), float(np.median(widths))


def power_of_knees(shape: str, curves: int, cells: int) -> float:
    """Return how often the most powerful test, which knows the spreads and every form, tells this
    shape from the nearest form without a knee."""
    z = STEP * (np.arange(cells) - (cells - 1) / 2)
    table = pd.DataFrame(
        {
            "curve": np.repeat(np.arange(curves), cells),
            "p": np.tile(np.exp(z), curves),
            "n": 1.0,
            "d": 1.0,
            "seeds": 1,
        }
    )
    planted = Truth(shape, lambda p, n, d: SHAPES[shape](np.log(p / (n * d))), slope=None)
    return knee_power(table, Spread(slope=0.025, level=0, cell=SIGMA, shared=0, seed=0), planted)


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage of the report's intervals.")
    parser.add_argument("--draws", type=int, default=2000)
    draws = parser.parse_args().draws

    results = [judge(design, draws, seed) for seed, design in enumerate(designs())]
    print(f"| curves × cells, {draws} draws | coverage | width |\n|---|---|---|")
    for result in results:
        print(f"| {result.name} | {result.coverage:.3f} | {result.width:.2f} |")
    covered = [result.coverage for result in results]
    print(f"\n{len(results)} designs: coverage {min(covered):.3f} to {max(covered):.3f},", end="")
    print(f" mean {np.mean(covered):.3f}\n")

    print("The best coverage of 1 × 12 beside 5 × 4 at a median width of 1.5 at τ 0: ", end="")
    print(", ".join(f"{best_coverage(1.5, tau):.3f} at τ {tau:g}" for tau in TAUS[1:]) + "\n")

    print("| truth p/(n·d) | p/(n·d) contradicted | p/n contradicted |\n|---|---|---|")
    for seed, design in enumerate(collapse_designs()):
        by_law, by_samples = contradictions(design, draws, seed)
        print(f"| {design.name} | {by_law:.3f} | {by_samples:.3f} |", flush=True)

    few = max(draws // 5, 20)
    print(f"\n| truth, {few} draws | curves × cells | power | knee counts | covers | log width |")
    print("|---|---|---|---|---|---|")
    for curves, cells in ((3, 8), (6, 8), (12, 6), (16, 7)):
        for seed, shape in enumerate(SHAPES):
            counts, covers, width = knees(shape, curves, cells, few, seed)
            power = ""
            if shape.startswith("broken"):
                power = f"{power_of_knees(shape, curves, cells):.2f}"
            row = f"| {shape} | {curves} × {cells} | {power} | {counts:.2f} | {covers:.2f}"
            print(f"{row} | {width:.1f} |", flush=True)


if __name__ == "__main__":
    main()
