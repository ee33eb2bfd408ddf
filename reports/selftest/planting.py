"""Plant one truth in the trials of a simulated store.

log y = truth(p, n, d) + level of the curve + its slope's deviation · (log p - mean over the curve)
        + cell + seed of the curve + trial,

every term normal, with the standard deviations of the kind's `Spread`. A rough store has twice the
cell and trial terms in the smaller half of a curve's sizes, 1.5 times the seeds' shared term, and a
share OUTLIERS of trials off by FAR_OFF.
"""

import numpy as np
import pandas as pd

from reports.measures import LOWER, MEASURES, STABILITY, Measure
from reports.selftest.designs import Design, Spread
from reports.selftest.truths import Truth

TYPICAL = 0.03
"""Stability around which truths are planted, in data units."""
OUTLIERS = 0.02
FAR_OFF = 0.5
"""Of log stability, on either side."""
COMMON = 0.8
"""Correlation of two measures of the same trial, cell or curve."""


def plant(
    trials: pd.DataFrame, design: Design, truth: Truth, rng: np.random.Generator, rough: bool
) -> pd.DataFrame:
    """Return the trials with sensitivities that follow `truth`.

    Stability and the lower Lipschitz bound follow the truth. The other measures are missing, except
    where the truth is about all of them: then each has deviations of its own.
    """
    spreads = _spreads(trials, design)
    log_p = np.log(trials["p"].to_numpy(float))
    planted = truth.level(*(trials[v].to_numpy(float) for v in ("p", "n", "d_ambient")))
    planted = planted - planted.mean()
    common = _deviations(trials, spreads, rng, rough)

    columns = {}
    for measure in MEASURES:
        own = _deviations(trials, spreads, rng, rough)
        deviation = np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * own
        follows = measure.column in (STABILITY, LOWER) or truth.other_measures
        value = TYPICAL * np.exp(measure.robust * (planted + deviation))
        columns[measure.column] = np.where(follows & _is_for(measure, trials), value, np.nan)

    # Accuracy grows with size and depends on stability in no other way.
    accuracy_noise = 0.01 * rng.standard_normal(len(trials))
    columns["test_accuracy"] = 0.5 + 0.02 * log_p + accuracy_noise
    return trials.assign(**columns)


def _is_for(measure: Measure, trials: pd.DataFrame) -> np.ndarray:
    """Return which trials have the measure: those with a target that it is for."""
    scalar = trials["outputs"].eq(1).to_numpy()
    return {"all": np.full(len(trials), True), "±1": scalar, "classes": ~scalar}[measure.targets]


def spread_of(design: Design, rows: pd.DataFrame) -> Spread:
    """Return the spread of the kind that these trials, all of one kind, belong to."""
    columns = ["task", "outputs", "stop_rule", "epsilon"]
    wanted = tuple(rows[columns].iloc[0])
    return next(k.spread for k in design.kinds if tuple(k.row[c] for c in columns) == wanted)


def _spreads(trials: pd.DataFrame, design: Design) -> pd.DataFrame:
    """Return the spread of every trial's kind, one column for each of its fields."""
    of_kind = {kind: spread_of(design, rows) for kind, rows in trials.groupby("kind")}
    return pd.DataFrame([of_kind[kind] for kind in trials["kind"]], index=trials.index)


def _deviations(
    trials: pd.DataFrame, spreads: pd.DataFrame, rng: np.random.Generator, rough: bool
) -> np.ndarray:
    """Return (rows,) deviations of the log of one measure from the truth."""
    curve = trials["curve"]
    log_p = np.log(trials["p"].astype(float))
    along = (log_p - log_p.groupby(curve).transform("mean")).to_numpy()
    small = along < 0

    def one_each(group: pd.Series) -> np.ndarray:
        """Return one standard normal number for every group, in the group's rows."""
        number, names = pd.factorize(group)
        return rng.standard_normal(len(names))[number]

    local = np.where(rough & small, 2.0, 1.0)
    shared = 1.5 if rough else 1.0
    deviation = (
        spreads["slope"].to_numpy() * one_each(curve) * along
        + spreads["level"].to_numpy() * one_each(curve)
        + local * spreads["cell"].to_numpy() * one_each(trials["cell"])
        + shared * spreads["shared"].to_numpy() * one_each(curve + " " + trials["seed"].astype(str))
        + local * spreads["seed"].to_numpy() * rng.standard_normal(len(trials))
    )
    if rough:
        off = rng.random(len(trials)) < OUTLIERS
        deviation += np.where(off, FAR_OFF * rng.choice([-1.0, 1.0], len(trials)), 0.0)
    return deviation
