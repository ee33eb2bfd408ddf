"""State the law's ceilings with their constants, so that nobody takes "compatible" for a test where
nothing measurable could lie above the bound.

For a class of at most exp(b·p) classifiers, b nats a parameter:

- Training radius, pure ±1 noise: `harness.store.radius_law`.
- Stability below the noise (von Berg et al. 2026, arXiv 2603.02806), K classes, training error at
  most R* − ε, here ε = R*/2: S < max((3K/ε)·sqrt(c·b·p/(n·d)), sqrt((8c/d)·ln(6K/ε))).

b is 1 where a parameter carries one nat, and at most 32·ln 2 = 22.2 for 32-bit weights: the log
terms of the theorems as a range. c is 1 on the sphere. Elsewhere it is estimated from below, so a
true ceiling may lie higher.
"""

import numpy as np
import pandas as pd

from harness.store.radius_law import NATS_OF_32_BITS, radius_law
from reports.measures import RADIUS, STABILITY

NATS = (1.0, round(NATS_OF_32_BITS, 1))
"""Nats a parameter: the least that is assumed here, and the most that 32-bit weights hold, as the
page states it."""


def stability_ceiling(p, n, d, c, classes, epsilon, nats: float):
    """Return von Berg's ceiling on S, in data units; all arguments but `nats`: numbers or
    series."""
    by_size = 3 * classes / epsilon * np.sqrt(c * nats * p / (n * d))
    by_dimension = np.sqrt(8 * c / d * np.log(6 * classes / epsilon))
    return np.maximum(by_size, by_dimension)


def cells_beside_ceilings(trials: pd.DataFrame) -> pd.DataFrame:
    """Return one row per cell whose trials all test the law's stability form: kind, curve, n, d, p,
    stability, certified (NaN without a certified bound), cap, c, c_known, and the ceiling at either
    end of NATS as low and high. trial_id: the tuple of its trials.

    binds: c is known, and with b = 1 the ceiling lies below the cap that S is measured up to. Where
    it does not, no S could contradict it.
    """
    tested = trials[trials["tests_stability"] & trials[STABILITY].notna()]
    c, known = isoperimetry_constant(tested)
    cells = (
        tested.assign(
            c=c,
            c_known=known,
            proved=tested["isoperimetry"].eq("proved"),
            classes=tested["outputs"].clip(lower=2),
            epsilon=tested["bayes_error"].astype(float) / 2,
        )
        .groupby("cell", sort=False)
        .agg(
            kind=("kind", "first"),
            curve=("curve", "first"),
            proved=("proved", "all"),
            n=("n", "first"),
            d=("d_ambient", "first"),
            p=("p", "first"),
            classes=("classes", "first"),
            epsilon=("epsilon", "first"),
            stability=(STABILITY, "mean"),
            certified=("stability_certified_mean", "mean"),
            cap=("stability_cap", "first"),
            c=("c", "mean"),
            c_known=("c_known", "all"),
            trial_id=("trial_id", tuple),
        )
    )
    p, n, d, c = (cells[column].astype(float) for column in ("p", "n", "d", "c"))
    for end, nats in zip(("low", "high"), NATS, strict=True):
        cells[end] = stability_ceiling(p, n, d, c, cells["classes"], cells["epsilon"], nats)
    cells["binds"] = cells["c_known"] & (cells["low"] < cells["cap"])
    return cells


def radii_beside_ceilings(trials: pd.DataFrame) -> pd.DataFrame:
    """Return one row per cell of pure ±1 noise whose trials all know r∞: kind, n, d, p, c, c_known,
    radius (the mean training radius, NaN where not measured), r_inf (the mean of radius_ceiling),
    and r_law at either end of NATS as low and high. trial_id: the tuple of its trials.

    r_law is the rows' own, in data units; where a trial of the cell lacks it, the formula's.

    binds: c is known, and with b = 1 r_law lies below r∞. Where it does not, the data alone keep
    radii below it.
    """
    known = trials[trials["sigma2"].eq(1.0) & trials["radius_ceiling"].notna()]
    c, c_known = isoperimetry_constant(known)
    radius = known[RADIUS] if RADIUS in known else np.nan
    cells = (
        known.assign(
            c=c,
            c_known=c_known,
            radius=radius,
            low=known["radius_law"].astype(float),
            high=known["radius_law_32bit"].astype(float),
        )
        .groupby("cell", sort=False)
        .agg(
            kind=("kind", "first"),
            n=("n", "first"),
            d=("d_ambient", "first"),
            p=("p", "first"),
            c=("c", "mean"),
            c_known=("c_known", "all"),
            radius=("radius", "mean"),
            r_inf=("radius_ceiling", "mean"),
            low=("low", "mean"),
            high=("high", "mean"),
            held=("high", "count"),
            trial_id=("trial_id", tuple),
        )
    )
    in_all_rows = cells.pop("held").eq(cells["trial_id"].map(len))
    p, n, d, c = (cells[column].astype(float) for column in ("p", "n", "d", "c"))
    for end, nats in zip(("low", "high"), NATS, strict=True):
        cells[end] = cells[end].where(in_all_rows, radius_law(p, n, d, nats, c))
    cells["binds"] = cells["c_known"] & (cells["low"] < cells["r_inf"])
    return cells


def isoperimetry_constant(trials: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return c for each trial, and whether it is known: 1 where isoperimetry is proved, otherwise
    the column's lower estimate, or 1 in rows that lack it."""
    proved = trials["isoperimetry"].eq("proved")
    measured = trials["isoperimetry_c"].astype(float)
    c = measured.fillna(1.0).clip(lower=1.0).mask(proved, 1.0)
    return c, proved | measured.notna()
