"""`unilaw report A B --compare`: how often noise alone is called a change, and how often a planted
one is found. Six minutes on one core.

    .venv/bin/python -m tests.benchmarks.comparison [--draws N]

Two parts. First, stores without a change of every shipped design, compared as the command compares
them: kinds, measures and cells together. The curves' slopes and levels and what is peculiar to a
cell are the same in both stores; seeds are new, and move the cells of a curve together as they do
in the example stores. Rough stores have trials off by half a log unit, and small models that
scatter twice as much, which no pooled spread knows of.

Then each draw makes two stores of 6 curves, 5 sizes and 3 seeds, whose curves have slopes of their
own (standard deviation .05) and whose seeds spread by 10 %. Without a change, a figure beyond noise
is a false alarm; the intervals promise at most 2.5 % for the slopes and 2.5 % for the cells, so at
most 5 % for the comparison. Changes are planted in a fifth of the draws.
"""

import argparse
from collections import Counter

import numpy as np
import pandas as pd

from reports.comparison import compare
from reports.law import fit_all
from reports.measures import LOWER, STABILITY
from reports.selftest.designs import DESIGNS, Design
from reports.selftest.planting import FAR_OFF, OUTLIERS, TYPICAL, Layout, layout_of
from reports.selftest.rows import store_of
from reports.selftest.simulate import _light
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


def alarms_of_design(design: Design, rough: bool, draws: int, seed: int = 3) -> dict[str, float]:
    """Return the shares of draws without a change in which one was called beyond noise, of two
    stores of a shipped design."""
    rng = np.random.default_rng(seed)
    evidence = store_of(design, rng, rough)
    trials = _light(evidence.trials)
    layout = layout_of(trials, design)

    found = Counter[str]()
    for _ in range(draws):
        first, second = equal_stores(trials, layout, rng, rough)
        before, after = evidence._replace(trials=first), evidence._replace(trials=second)
        changed = compare(before, fit_all(first), after, fit_all(second), ("first", "second"))
        slope = any(change.beyond for change in changed.slopes)
        cell = any(change.beyond for change in changed.cells)
        found.update({"any slope": slope, "any cell": cell, "either": slope or cell})
    return {name: found[name] / draws for name in ("any slope", "any cell", "either")}


def equal_stores(
    trials: pd.DataFrame, layout: Layout, rng: np.random.Generator, rough: bool
) -> list[pd.DataFrame]:
    """Return the trials of two stores that differ in their seeds alone, with stability and the
    lower Lipschitz estimate planted."""

    def one_each(group: np.ndarray) -> np.ndarray:
        return rng.standard_normal(group.max() + 1)[group]

    rows = len(trials)
    local = np.where(rough & (layout.along < 0), 2.0, 1.0)
    scalar = trials["outputs"].eq(1).to_numpy()
    stores = [trials.copy(), trials.copy()]
    for column, sign in ((STABILITY, 1), (LOWER, -1)):
        common = 0.2 * np.log(trials["p"].to_numpy(float)) - 1
        common += layout.slope * one_each(layout.curve) * layout.along
        common += layout.level * one_each(layout.curve) + layout.cell_sd * one_each(layout.cell)
        for store in stores:
            own = (1.5 if rough else 1.0) * layout.shared * one_each(layout.curve_seed)
            own += local * layout.seed * rng.standard_normal(rows)
            if rough:
                off = rng.random(rows) < OUTLIERS
                own += np.where(off, FAR_OFF * rng.choice([-1.0, 1.0], rows), 0.0)
            value = TYPICAL * np.exp(sign * (common + own))
            store[column] = np.where(scalar | (column == STABILITY), value, np.nan)
    return stores


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
    few = max(1, draws // 10)
    for rough in (False, True):
        for design in DESIGNS:
            named = f"{design.name}, {'rough' if rough else 'even'}"
            told(f"{named}: share of {few} draws", alarms_of_design(design, rough, few))
    told(f"no change, share of {draws} draws called beyond noise", false_alarms(draws))
    few = max(1, draws // 5)
    told(f"planted changes, share of {few} draws found", changes_found(few))


def told(title: str, shares: dict[str, float]) -> None:
    print(title)
    for name, share in shares.items():
        print(f"{100 * share:6.1f} %  {name}", flush=True)


if __name__ == "__main__":
    main()
