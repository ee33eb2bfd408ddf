"""Plant one truth in the trials of a simulated store.

log y = truth(p, n, d) + level of the curve + its slope's deviation · (log p - mean over the curve)
        + cell + seed of the curve + trial,

every term normal, with the standard deviations of the kind's `Spread`. A rough store has twice the
cell and trial terms in the smaller half of a curve's sizes, 1.5 times the seeds' shared term, and a
share OUTLIERS of trials off by FAR_OFF.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.measures import LOWER, MEASURES, STABILITY
from reports.selftest.designs import Design, Spread
from reports.selftest.truths import Truth

TYPICAL = 0.03
"""Stability around which truths are planted, in data units."""
OUTLIERS = 0.02
FAR_OFF = 0.5
"""Of log stability, on either side."""
COMMON = 0.8
"""Correlation of two measures of the same trial, cell or curve."""


class Layout(NamedTuple):
    """What planting needs to know of a store's trials, (rows,) each, found once for all draws.

    curve, cell, curve_seed: the number of the group that a trial belongs to. along: log p less its
    mean over the curve. The others: the standard deviations of its kind's `Spread`.
    """

    curve: np.ndarray
    cell: np.ndarray
    curve_seed: np.ndarray
    along: np.ndarray
    slope: np.ndarray
    level: np.ndarray
    cell_sd: np.ndarray
    shared: np.ndarray
    seed: np.ndarray


def layout_of(trials: pd.DataFrame, design: Design) -> Layout:
    """Return the layout of a store of this design."""
    curve = trials["curve"]
    log_p = pd.Series(np.log(trials["p"].to_numpy(float)), index=trials.index)
    of_kind = {kind: spread_of(design, rows) for kind, rows in trials.groupby("kind")}
    spreads = np.array([of_kind[kind] for kind in trials["kind"]])
    return Layout(
        pd.factorize(curve)[0],
        pd.factorize(trials["cell"])[0],
        pd.factorize(curve + " " + trials["seed"].astype(str))[0],
        (log_p - log_p.groupby(curve).transform("mean")).to_numpy(),
        *spreads.T,
    )


def spread_of(design: Design, rows: pd.DataFrame) -> Spread:
    """Return the spread of the kind that these trials, all of one kind, belong to."""
    columns = ["task", "outputs", "stop_rule", "epsilon"]
    wanted = tuple(rows[columns].iloc[0])
    return next(k.spread for k in design.kinds if tuple(k.row[c] for c in columns) == wanted)


def plant(
    trials: pd.DataFrame, layout: Layout, truth: Truth, rng: np.random.Generator, rough: bool
) -> pd.DataFrame:
    """Return the trials with sensitivities that follow `truth`.

    Stability and the lower Lipschitz bound follow the truth. The other measures are missing, except
    where the truth is about all of them: then each has deviations of its own.
    """
    planted = truth.level(*(trials[v].to_numpy(float) for v in ("p", "n", "d_ambient")))
    planted = planted - planted.mean()
    common = _deviations(layout, rng, rough)
    scalar = trials["outputs"].eq(1).to_numpy()

    columns = {}
    for measure in MEASURES:
        own = _deviations(layout, rng, rough)
        deviation = np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * own
        value = TYPICAL * np.exp(measure.robust * (planted + deviation))
        follows = measure.column in (STABILITY, LOWER) or truth.other_measures
        has_it = follows & {"all": scalar | True, "±1": scalar, "classes": ~scalar}[measure.targets]
        columns[measure.column] = np.where(has_it, value, np.nan)

    # Accuracy grows with size and depends on stability in no other way.
    log_p = np.log(trials["p"].to_numpy(float))
    columns["test_accuracy"] = 0.5 + 0.02 * log_p + 0.01 * rng.standard_normal(len(trials))
    missing = [name for name, values in columns.items() if np.isnan(values).all()]
    # the copy joins columns of one type, which makes every later selection cheaper
    return trials.assign(**columns).drop(columns=missing).copy()


def _deviations(layout: Layout, rng: np.random.Generator, rough: bool) -> np.ndarray:
    """Return (rows,) deviations of the log of one measure from the truth."""

    def one_each(group: np.ndarray) -> np.ndarray:
        """Return one standard normal number for every group, in the group's rows."""
        return rng.standard_normal(group.max() + 1)[group]

    small = layout.along < 0
    local = np.where(rough & small, 2.0, 1.0)
    together = 1.5 if rough else 1.0
    rows = len(small)
    deviation = (
        layout.slope * one_each(layout.curve) * layout.along
        + layout.level * one_each(layout.curve)
        + local * layout.cell_sd * one_each(layout.cell)
        + together * layout.shared * one_each(layout.curve_seed)
        + local * layout.seed * rng.standard_normal(rows)
    )
    if rough:
        off = rng.random(rows) < OUTLIERS
        deviation += np.where(off, FAR_OFF * rng.choice([-1.0, 1.0], rows), 0.0)
    return deviation
