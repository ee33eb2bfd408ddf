"""`unilaw report A B --compare`: how often noise alone is called a change, and how often a planted
one is found. Two minutes on one core.

    .venv/bin/python -m tests.benchmarks.comparison [--draws N]

Each draw makes two stores of 6 curves, 5 sizes and 3 seeds, whose curves have slopes of their own
(standard deviation .05) and whose seeds spread by 10 %. Without a change, a figure beyond noise is
a false alarm; the intervals promise at most 2.5 % for the slopes and 2.5 % for the cells, so at
most 5 % for the comparison. Changes are planted in a fifth of the draws.
"""

import argparse

import numpy as np

from tests.reports.planted_changes import (
    cells_between,
    drawn,
    slope_between,
    slope_of,
    true_slopes,
)

STEEPER = (0.02, 0.05, 0.1)
FACTORS = (1.2, 1.5, 2.0)
PLANTED = "curve 2 p=800"


def false_alarms(draws: int, seed: int = 1) -> dict[str, float]:
    """Return the shares of draws without a change in which one was called beyond noise."""
    rng = np.random.default_rng(seed)
    names = ("same curves: slope", "same curves: any cell", "same curves: either")
    found = dict.fromkeys([*names, "other curves: slope"], 0)
    for _ in range(draws):
        slopes = true_slopes(rng)
        first, second = drawn(rng, slopes), drawn(rng, slopes)
        before = slope_of(first)
        slope = slope_between(before, slope_of(second)).beyond
        cell = any(change.beyond for change in cells_between(first, second))
        for name, called in zip(names, (slope, cell, slope or cell), strict=True):
            found[name] += called

        others = drawn(rng, true_slopes(rng), curves="other")
        found["other curves: slope"] += slope_between(before, slope_of(others)).beyond
    return {name: count / draws for name, count in found.items()}


def changes_found(draws: int, seed: int = 2) -> dict[str, float]:
    """Return the shares of draws in which a planted change was called beyond noise."""
    rng = np.random.default_rng(seed)
    steeper = {f"steeper by {b:g}: slope": b for b in STEEPER}
    larger = {f"one cell ×{factor:g}: that cell": factor for factor in FACTORS}
    found = dict.fromkeys([*steeper, *larger], 0)
    for _ in range(draws):
        slopes = true_slopes(rng)
        first = drawn(rng, slopes)
        before = slope_of(first)
        for name, b in steeper.items():
            found[name] += slope_between(before, slope_of(drawn(rng, slopes + b))).beyond
        for name, factor in larger.items():
            second = drawn(rng, slopes, {PLANTED: factor})
            (own,) = [c for c in cells_between(first, second) if c.what == PLANTED]
            found[name] += own.beyond
    return {name: count / draws for name, count in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=1000)
    draws = parser.parse_args().draws
    told(f"no change, share of {draws} draws called beyond noise", false_alarms(draws))
    few = max(1, draws // 5)
    told(f"planted changes, share of {few} draws found", changes_found(few))


def told(title: str, shares: dict[str, float]) -> None:
    print(title)
    for name, share in shares.items():
        print(f"{100 * share:6.1f} %  {name}", flush=True)


if __name__ == "__main__":
    main()
