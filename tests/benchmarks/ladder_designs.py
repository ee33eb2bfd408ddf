"""How well designs of a small ladder give the compute exponent, where the surface is planted.

    python -m tests.benchmarks.ladder_designs              the table, two minutes of one core
    python -m tests.benchmarks.ladder_designs 14 "step 2.5" --draws 10     two of the designs

Surface: L = E + A/N^α + B/D^β with the exponents that the byte ladder of fourteen cells gave, α
0.48 and β 0.28 (LOG.md). Half-widths are medians over draws of the page's own 95 % intervals: of
β/(α + β) from the fitted surface, and of the exponent of the budgets' best sizes.
"""

import argparse
from itertools import product
from typing import NamedTuple

import numpy as np

from reports.fits.budgets import budgets_of
from reports.fits.isoflop import fit_budgets, size_exponent
from reports.fits.scaling import Interval, Scaling, fit_scaling
from tests.benchmarks.isoflop import chinchilla

SEED = 20261127
ALPHA, BETA = 0.48, 0.28
SURFACE = chinchilla(1.3, 26.0, 70.0, ALPHA, BETA)
NOISES = (0.005, 0.01, 0.02)
"""Standard deviation of log loss between cells."""


class Design(NamedTuple):
    """Cells of a ladder: parameters and tokens, (K,) each."""

    n: np.ndarray
    d: np.ndarray

    @property
    def flop(self) -> float:
        return float((6 * self.n * self.d).sum())


def budgets(compute: dict[float, list[float]]) -> Design:
    """Return the design of isoFLOP budgets: compute → sizes."""
    n = np.concatenate([np.array(sizes) for sizes in compute.values()])
    c = np.repeat(list(compute), [len(sizes) for sizes in compute.values()])
    return Design(n, c / 6 / n)


def grid(sizes: list[float], tokens: list[float]) -> Design:
    n, d = (v.ravel() for v in np.meshgrid(sizes, tokens))
    return Design(n, d)


EARLIER = [8432.0, 22176.0, 35712.0, 72040.0, 133112.0, 220544.0]
SIZES = [8432.0, 16560.0, 35712.0, 72040.0, 151260.0]
WIDE = [8432.0, 22176.0, 52320.0, 133112.0, 310552.0]
DESIGNS = {
    "14 cells in 3 budgets": budgets({1e11: EARLIER[:4], 3e11: EARLIER[:5], 1e12: EARLIER[1:]}),
    "5 × 5, step 2.06": grid(SIZES, [64.0 * n for n in (5008, 10320, 21264, 43808, 90240)]),
    "5 × 5, step 2.5": grid(WIDE, [64.0 * n for n in (1488, 3712, 9280, 23200, 58000)]),
    "4 × 4, step 2.06": grid(SIZES[:4], [64.0 * n for n in (10320, 21264, 43808, 90240)]),
}


def _told(intervals: list[Interval | None]) -> str:
    known = [own for own in intervals if own is not None and np.isfinite(own.low)]
    if not known:
        return "no interval"
    width = np.median([(own.high - own.low) / 2 for own in known])
    held = np.mean([own.low <= BETA / (ALPHA + BETA) <= own.high for own in known])
    return f"± {width:.3f} ({held:.2f} of {len(known)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("words", nargs="*", help="designs whose name has one of them")
    parser.add_argument("--draws", type=int, default=30)
    asked = parser.parse_args()
    draws = asked.draws
    print(
        "design, FLOP, noise: half-width and share of intervals that hold the exponent, from the"
        " surface; from the budgets"
    )
    for (name, design), noise in product(DESIGNS.items(), NOISES):
        if asked.words and not any(word in name for word in asked.words):
            continue
        rng = np.random.default_rng(SEED)
        surface, best = [], []
        for _ in range(draws):
            scatter = np.exp(noise * rng.standard_normal(len(design.n)))
            loss = SURFACE(design.n, design.d) * scatter
            fit = fit_scaling(design.n, design.d, loss)
            assert isinstance(fit, Scaling)
            surface.append(fit.compute_exponent)
            labels = budgets_of(6 * design.n * design.d)
            best.append(size_exponent(fit_budgets(design.n, design.d, loss, labels)))
        told = [_told(own) for own in (surface, best)]
        print(f"{name}, {design.flop:.1e}, {100 * noise:g} %: {'; '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
