"""`unilaw report A B --compare`: how often noise alone is called a change, and how often a planted
one is found.

    .venv/bin/python -m tests.benchmarks.comparison [--draws N]

Each draw makes two stores of 6 curves, 5 sizes and 3 seeds, whose curves have slopes of their own
(standard deviation .05) and whose seeds spread by 10 %. Without a change, a figure beyond noise is
a false alarm; the intervals promise at most 2.5 % for the slopes and 2.5 % for the cells.
"""

import argparse

import numpy as np

from tests.reports.planted_changes import changes, drawn, true_slopes

STEEPER = (0.02, 0.05, 0.1)
FACTORS = (1.2, 1.5, 2.0)
PLANTED = "curve 2 p=800"


def shares(draws: int, seed: int = 1) -> dict[str, float]:
    """Return the shares of draws in which a change was called beyond noise."""
    rng = np.random.default_rng(seed)
    found = dict.fromkeys(
        [
            "no change, same curves: slope",
            "no change, same curves: any cell",
            "no change, other curves: slope",
            *(f"steeper by {b:g}: slope" for b in STEEPER),
            *(f"one cell ×{factor:g}: that cell" for factor in FACTORS),
        ],
        0,
    )
    for _ in range(draws):
        slopes = true_slopes(rng)
        first = drawn(rng, slopes)
        slope, cells = changes(first, drawn(rng, slopes))
        found["no change, same curves: slope"] += slope.beyond
        found["no change, same curves: any cell"] += any(cell.beyond for cell in cells)

        others = drawn(rng, true_slopes(rng), curves="other")
        found["no change, other curves: slope"] += changes(first, others)[0].beyond
        for b in STEEPER:
            steeper = changes(first, drawn(rng, slopes + b))[0]
            found[f"steeper by {b:g}: slope"] += steeper.beyond
        for factor in FACTORS:
            _, cells = changes(first, drawn(rng, slopes, {PLANTED: factor}))
            (own,) = [cell for cell in cells if cell.what == PLANTED]
            found[f"one cell ×{factor:g}: that cell"] += own.beyond
    return {name: count / draws for name, count in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=1000)
    draws = parser.parse_args().draws
    print(f"share of {draws} draws that are called beyond noise")
    for name, share in shares(draws).items():
        print(f"{100 * share:6.1f} %  {name}")


if __name__ == "__main__":
    main()
