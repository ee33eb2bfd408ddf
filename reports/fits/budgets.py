"""Which runs share a compute budget, where no column says so.

    labels = budgets_of(6 * n * d)

Runs of one budget differ in compute by rounding alone, or by a few per cent where runs were logged.
Groups are joined by complete linkage (Sørensen 1948): the span of a group, its largest compute over
its smallest, decides, so a chain of neighbours never becomes one budget. The span allowed is the
one at which the most runs lie in groups that stand clear of their neighbours.
"""

import numpy as np
from scipy.cluster.hierarchy import complete, fcluster

MOST_SPAN = 1.5
"""No budget spans more than this factor of compute."""
MIN_RUNS = 3
MOST_TRIED = 200
"""Spans tried: of thousands of runs, not every one of the tree's."""
APART = 0.5
"""A group stands clear where both neighbours are farther away than this share of its own span, on a
log scale."""


def budgets_of(compute: np.ndarray) -> np.ndarray:
    """Return the number of each run's budget, (K,), from the least compute on. A run between the
    budgets gets a number of its own."""
    values, run = np.unique(np.log(compute), return_inverse=True)
    if len(values) == 1:
        return np.zeros(len(compute), int)
    runs = np.bincount(run)
    tree = complete(values[:, None])
    spans = np.unique(tree[tree[:, 2] <= np.log(MOST_SPAN), 2])
    if len(spans) > MOST_TRIED:
        spans = np.quantile(spans, np.linspace(0, 1, MOST_TRIED))

    best = np.arange(len(values))
    most = 0
    for span in spans:
        groups = _in_order(fcluster(tree, span, "distance"))
        clear = _clear_runs(values, groups, runs)
        if clear > most:
            best, most = groups, clear
    return best[run]


def _in_order(groups: np.ndarray) -> np.ndarray:
    """Number groups of ascending values by their place. Each is an unbroken stretch of them."""
    return np.concatenate([[0], np.cumsum(np.diff(groups) != 0)])


def _clear_runs(values: np.ndarray, groups: np.ndarray, runs: np.ndarray) -> int:
    """Return how many runs lie in groups of at least MIN_RUNS runs that stand clear."""
    first = np.searchsorted(groups, np.arange(groups[-1] + 1))
    last = np.append(first[1:], len(values)) - 1
    size = np.add.reduceat(runs, first)
    span = values[last] - values[first]
    gaps = np.concatenate([[np.inf], values[first[1:]] - values[last[:-1]], [np.inf]])
    clear = np.minimum(gaps[:-1], gaps[1:]) > APART * span
    return int(size[clear & (size >= MIN_RUNS)].sum())
