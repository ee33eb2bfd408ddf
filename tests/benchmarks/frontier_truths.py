"""Plant four frontiers in made-up stores of the shipped design, and count how often the report's
sentence is the right one.

    python -m tests.benchmarks.frontier_truths [DRAWS [TRUTH …]]

The truths: (p/(n·d))^½, (p/n)^½, flat, A + B·ln(p/n); 4 % noise between seeds and 1.5 % between
cells, three seeds, bent off below the r∞ of such data. Each has one right verdict, and each must be
right in at least 95 % of the draws. Beside it: how often the interval of the exponent of d holds
the planted one, its mean half-width, and the same of the exponent of p where one is stated. Ends
with exit code 1 where a verdict is right too seldom. A hundred draws of all truths take about
six minutes.
"""

import sys
from collections import Counter

import numpy as np

from reports.fits.common_slope import CommonSlope
from reports.frontier import radii
from reports.frontier_answer import FrontierFit, fit_frontier
from tests.reports.planted_frontiers import TRUTHS, planted

ENOUGH = 0.95
EXPONENTS = {
    "law": (-0.5, 0.5),
    "samples": (0.0, 0.5),
    "flat": (0.0, 0.0),
    "logarithm": (0.0, None),
}
"""Truth → planted exponents of d and p; None where there is no power of p."""


def main(draws: int, names: list[str]) -> bool:
    """Print a line for each truth. Return whether all verdicts are right often enough."""
    enough = True
    for name in names:
        truth = TRUTHS[name]
        fits = [_drawn(name, draw) for draw in range(draws)]
        verdicts = Counter(fit.verdict for fit in fits)
        right = verdicts.pop(truth.verdict, 0) / draws
        enough &= right >= ENOUGH
        of_d, of_p = EXPONENTS[name]
        print(f"{name}: right {right:.1%}; else {dict(verdicts)}")
        print(f"  exponent of d: {_coverage([fit.dimension for fit in fits], of_d)}")
        if of_p is not None:
            print(f"  exponent of p: {_coverage([fit.size for fit in fits], of_p)}")
    return enough


def _drawn(name: str, draw: int) -> FrontierFit:
    rng = np.random.default_rng([list(TRUTHS).index(name), draw])
    (fit,) = fit_frontier(radii(planted(TRUTHS[name], rng)))
    return fit


def _coverage(slopes: list[CommonSlope], planted_slope: float) -> str:
    stated = [slope for slope in slopes if not slope.failure]
    holds = np.mean([slope.low <= planted_slope <= slope.high for slope in stated])
    half = np.mean([(slope.high - slope.low) / 2 for slope in stated])
    return f"stated in {len(stated)}, holds the planted one in {holds:.1%}, half-width {half:.3f}"


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    sys.exit(0 if main(count, sys.argv[2:] or list(TRUTHS)) else 1)
