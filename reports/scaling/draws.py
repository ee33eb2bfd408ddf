"""The bootstrap behind every interval: which draws are made of which table, and when none is.

Independent units are clusters, or cells where no cluster is given.

- Below `least_units` there is no 95 % interval.
- Below FEW units, every unit takes the residuals of a unit drawn at random, all rows together, on
  top of the fitted curve (residual bootstrap, Efron 1979). They are made as much larger as the
  parameters have made them smaller. Resampling whole units would too often leave a table on which
  the form is not identified. Changing signs instead (wild bootstrap) fails under Huber's loss at a
  small δ: a curve that is nearly of least absolute values passes through some units, whose
  residuals of 0 would hold it there in every draw.
- From FEW units on, units are drawn with replacement, their rows inside.
"""

from typing import NamedTuple

import numpy as np

from reports.fits.slope import SEED
from reports.scaling.problem import Minima, Problem

REPLICATES = 300
FEW = 40


class Draws(NamedTuple):
    """R tables of the bootstrap. weights or target: (R, K), what differs from the fitted table.
    how: in words."""

    weights: np.ndarray | None
    target: np.ndarray | None
    how: str

    @property
    def replicates(self) -> int:
        values = self.weights if self.weights is not None else self.target
        return 0 if values is None else len(values)


def least_units(parameters: int) -> int:
    """Return how many independent units a 95 % interval takes: 9 for up to four parameters, 12 for
    five, then two more for each further one.

    At nine cells and five parameters, intervals of this kind hold the truth in .55 to .85 of tables
    instead of .95.
    """
    return 9 if parameters < 5 else 2 * parameters + 2


def resample(problem: Problem, best: np.ndarray, units: np.ndarray, clustered: bool) -> Draws:
    """Return the draws for a fit at z = best (1, k). units: (K,) number of each row's unit."""
    rng = np.random.default_rng(SEED)
    count = int(units.max()) + 1
    k = best.shape[1]
    noun = "clusters" if clustered else "cells"
    if count >= FEW:
        times = rng.multinomial(count, np.full(count, 1 / count), size=REPLICATES)
        return Draws(times[:, units].astype(float), None, f"bootstrap of {count} {noun}")

    fitted, _ = problem.evaluate(best, problem.runs.inputs)
    # k parameters leave residuals too small by about this factor.
    residuals = (problem.runs.target - fitted) * np.sqrt(count / max(count - k, 1))
    target = fitted + _exchanged(residuals[0], units, rng.integers(count, size=(REPLICATES, count)))
    return Draws(None, target, f"residual bootstrap of {count} {noun}")


def _exchanged(residuals: np.ndarray, units: np.ndarray, donors: np.ndarray) -> np.ndarray:
    """Return residuals (R, K) of which every unit has its donor's, (R, units): in the order of the
    table, and from the first on again where the donor has fewer rows."""
    order = np.argsort(units, kind="stable")
    sizes = np.bincount(units)
    first = np.cumsum(sizes) - sizes
    position = np.empty(len(units), int)
    position[order] = np.arange(len(units)) - first[units[order]]

    donor = donors[:, units]
    return residuals[order][first[donor] + position % sizes[donor]]


def refitted(
    problem: Problem, best: np.ndarray, draws: Draws, fixed: np.ndarray | None = None
) -> Minima:
    """Return the fit of every draw, each begun at the fit to the table itself."""
    starts = np.repeat(best, draws.replicates, axis=0)
    return problem.refit(starts, draws.weights, draws.target, fixed)
