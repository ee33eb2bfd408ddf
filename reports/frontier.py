"""Turn the rows of searches for the most robust fit into one table of radii, and say which of them
a law can be read from.

    found = radii(evidence)

A problem is a family of models with a target and a noise level. A curve is one n, one d and one
depth; its cells differ in size alone. A cell has one radius for each data seed: the largest that
any search found on those data, because the frontier is a maximum and every search a lower estimate
of it. Beside it stands the training radius of the plainly trained model of the same cell and seed.

The window, fixed before any row was measured (docs/frontier.md): p at least
PAST times the onset, the smallest size of the curve with a radius, and radii at most SHARE of r∞,
the ceiling that the data set for models of any size. The law can bind where r_law with one nat a
parameter lies below r∞.
"""

import json
from typing import Any

import numpy as np
import pandas as pd

from reports.evidence import Evidence
from reports.measures import RADIUS

FRONTIER = "frontier_radius"
MISSED = "frontier_radius_missed"
PAST = 2.0
SHARE = 0.5
NEAR = 0.1
"""Sizes are whole numbers of neurons, so a ratio such as p = 2n is met within this share."""
NOT_OF_CELL = (
    "frontier",
    "search_seed",
    "stop",
    "max_epochs",
    "check_every",
    "optimiser",
    "momentum",
    "warmup_steps",
    "init_scale",
    "rate_width",
    "batch_size",
    "micro_batch",
    "lr",
    "beta2",
    "clip",
    "final_lr",
    "warmup",
    "weight_decay",
)
"""Fields of a configuration that say how a model was trained, not what it fits."""


def radii(evidence: Evidence) -> pd.DataFrame:
    """Return `radii_of` the searches and the plain training of some evidence."""
    return radii_of(evidence.frontier, evidence.trials)


def radii_of(searches: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each cell and data seed that was searched: problem, curve, cell, n, d, p,
    depth and neurons (NaN where the configuration names no width and depth), seed, proved,
    radius (data units; 0 where no radius was fitted), missed (the smallest radius above it that was
    searched and not fitted, NaN where none was), plain (training radius of plain training, NaN
    where there is none), r_inf, drawn (r_inf comes from a draw of the points), r_law, r_law_32bit,
    trap (the training that missed gave one answer for all points), adversary and penalty (the
    largest radius of each way, NaN where it was not tried), trainings, trial_id and plain_id
    (tuples of trials); and the columns of `placed`.

    searches, trials: as `frontier` and `trials` of Evidence.
    """
    if searches.empty:
        return pd.DataFrame()
    of_plain = _plain(trials)
    found = []
    for key, rows in described(searches).groupby(["cell", "seed"], sort=False):
        radius, trained = of_plain.get(key, (np.nan, ()))
        found.append(_one(rows) | {"plain": radius, "plain_id": trained})
    return placed(pd.DataFrame(found))


def _plain(trials: pd.DataFrame) -> dict[Any, tuple[float, tuple[str, ...]]]:
    """Return the training radius of plain training, and the trials behind it, by cell and seed.

    Only rows trained without an adversary and on past R*/2 count: the stop rule `noise` ends at
    R*/2, where the radius is 0 by construction.
    """
    if trials.empty or RADIUS not in trials:
        return {}
    trained_on = trials["stop_rule"].ne("noise") & trials["adversary"].eq("none")
    counted = trials[trained_on & trials["epsilon"].gt(0) & trials[RADIUS].notna()]
    if counted.empty:
        return {}
    return {
        key: (float(rows[RADIUS].mean()), tuple(rows["trial_id"]))
        for key, rows in described(counted).groupby(["cell", "seed"])
    }


def described(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with curve, cell, depth and neurons."""
    configs = [json.loads(config) for config in rows["config_json"]]
    settings = [json.loads(text) for text in rows["settings_json"]]
    curves = [
        f"{problem} {json.dumps(of_cell(own), sort_keys=True)}"
        for problem, own in zip(rows["problem"], settings, strict=True)
    ]
    depth = np.array([config.get("depth", np.nan) for config in configs], float)
    width = np.array([config.get("width", np.nan) for config in configs], float)
    cell = [f"{curve} p={p}" for curve, p in zip(curves, rows["p"], strict=True)]
    return rows.assign(curve=curves, depth=depth, neurons=width * depth, cell=cell)


def of_cell(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that say what is fitted by which kind of model."""
    how = ("frontier_", "search_", "adversary")
    return {k: v for k, v in settings.items() if k not in NOT_OF_CELL and not k.startswith(how)}


def _one(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the figures of one cell and data seed from the searches on it."""
    reached = rows[FRONTIER].astype(float).fillna(0.0)
    best = rows.iloc[int(np.argmax(reached))]
    missed = rows[MISSED].astype(float)
    by_way = reached.groupby(rows["frontier"]).max()
    return {
        "problem": best["problem"],
        "curve": best["curve"],
        "cell": best["cell"],
        "n": int(best["n"]),
        "d": int(best["d_ambient"]),
        "p": int(best["p"]),
        "depth": best["depth"],
        "neurons": best["neurons"],
        "seed": int(best["seed"]),
        "proved": best["isoperimetry"] == "proved",
        "radius": float(reached.max()),
        "missed": float(missed[missed > reached.max()].min()),
        "r_inf": _number(best["radius_ceiling"]),
        "drawn": bool(best["radius_ceiling_points"] < best["n"]),
        "r_law": _number(best["radius_law"]),
        "r_law_32bit": _number(best["radius_law_32bit"]),
        "trap": bool(pd.notna(best["frontier_trap"]) and best["frontier_trap"]),
        "adversary": float(by_way.get("adversary", np.nan)),
        "penalty": float(by_way.get("penalty", np.nan)),
        "trainings": float(rows["frontier_trainings"].astype(float).sum()),
        "trial_id": tuple(rows["trial_id"]),
    }


def _number(value: Any) -> float:
    return float("nan") if pd.isna(value) else float(value)


def placed(found: pd.DataFrame) -> pd.DataFrame:
    """Return the radii with per_sample (p/n), by_law (p/(n·d)), onset, binds, below_ceiling,
    window, and bound (the law can bind somewhere on the curve).

    A cell is in or out with all its seeds: its means decide. Where the data have no r_law (it is
    known for pure ±1 noise alone), `binds` is false and `law_known` too.
    """
    t = found.assign(
        per_sample=found["p"] / found["n"],
        by_law=found["p"] / (found["n"] * found["d"]),
        law_known=found["r_law"].notna() & found["r_inf"].notna(),
    )
    fitted = t["radius"].gt(0).groupby(t["cell"]).transform("all")
    smallest = t["p"].where(fitted).groupby(t["curve"]).transform("min")
    t["onset"] = smallest.astype(float).fillna(np.inf)

    mean = t.groupby("cell")[["radius", "r_inf", "r_law"]].transform("mean")
    t["fitted"] = fitted
    t["binds"] = mean["r_law"] < mean["r_inf"]
    t["below_ceiling"] = fitted & ~(mean["radius"] > SHARE * mean["r_inf"])
    t["window"] = t["below_ceiling"] & (t["p"] >= (1 - NEAR) * PAST * t["onset"])
    t["bound"] = t["binds"].groupby(t["curve"]).transform("any") | ~t["law_known"]
    return t
