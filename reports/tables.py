"""Rows → the table that every fit, claim and figure reads: the latest view, with what decides who enters a fit.

Which points enter (science notes, section 2, items 3 to 5): a trial that met its stop rule, at a size at least one
grid step past the smallest one at which every seed met it. Only trials whose fit is below a known noise level count
for the law; the rest are drawn hollow.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from harness.schema import arrow_schema
from harness.store import Store, SweepRecord, latest

MIN_SIZES = 3
"""A curve with fewer sizes past its onset says nothing about a slope."""


class Evidence(NamedTuple):
    """What a store holds, ready for fits.

    `trials` is the latest view's ok rows with the columns of `_derive`; `failures` its failed rows; `attempts`
    counts all rows.
    """

    folder: Path
    trials: pd.DataFrame
    failures: pd.DataFrame
    attempts: int
    sweeps: list[SweepRecord]
    problems: list[str]


def read_evidence(folder: Path) -> Evidence:
    """Read a store. Raises UserError when there is none."""
    store = Store.open(folder)
    contents = store.read()
    newest = latest(contents.rows)
    ok = _whole_types(newest[newest["status"] == "ok"].reset_index(drop=True))
    failed = newest[newest["status"] == "failed"].reset_index(drop=True)
    return Evidence(folder, _derive(ok), failed, len(contents.rows), store.sweeps(), contents.problems)


def _whole_types(ok: pd.DataFrame) -> pd.DataFrame:
    """Integers and booleans as such again: pandas widened them because failed rows lack them."""
    wanted = {f.name: "int64" for f in arrow_schema() if pa.types.is_integer(f.type)}
    wanted |= {f.name: "bool" for f in arrow_schema() if pa.types.is_boolean(f.type)}
    return ok.astype({name: kind for name, kind in wanted.items() if ok[name].notna().all()})


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries of plain Python values."""
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def _derive(ok: pd.DataFrame) -> pd.DataFrame:
    """Adds kind, curve, cell, x_law, settled, filled, entered and why_hollow to ok rows.

    kind: family, target, noise level and stop rule, which share one slope. curve: one kind and one setting of everything but
    size. cell: one configuration, all its seeds. x_law: p/(n·d), d ambient.
    """
    t = ok.copy()
    t["kind"] = [_kind(row) for row in records(t)] if len(t) else pd.Series(dtype=object)
    t["curve"] = t["kind"] + " " + t["settings_json"]
    t["cell"] = t["curve"] + " p=" + t["p"].astype("Int64").astype(str)
    t["x_law"] = t["p"] / (t["n"] * t["d_ambient"])
    t["settled"] = t["stop_reason"].ne("epoch_cap") | t["stop_rule"].eq("epochs")
    t["filled"] = t["settled"] & t["below_noise"].eq(True)
    t["entered"] = t["settled"] & t["p"].gt(_onset(t))
    t["why_hollow"] = np.select(
        [t["filled"], t["epsilon"].eq(0), ~t["settled"]],
        ["", "no injected noise: outside the law's noise condition", "stopped at its cap on epochs, above the noise level"],
        "stopped above the noise level",
    )
    return t


def _kind(row: dict[str, Any]) -> str:
    target = "±1 target" if row["outputs"] == 1 else f"{row['outputs']} classes"
    stop = {"noise": "", "interpolate": ", interpolated", "epochs": ", fixed epochs"}[row["stop_rule"]]
    return f"{row['family']}, {target}, {_noise(row)}{stop}"


def _noise(row: dict[str, Any]) -> str:
    if not row["epsilon"] > 0:
        return "no injected noise"
    if row["noise_kind"] in ("label_flip", "label_resample"):
        return f"{100 * row['eta']:g} % {'flipped' if row['noise_kind'] == 'label_flip' else 'resampled'}"
    return "pure noise" if row["sigma2"] == 1 else f"σ² {row['sigma2']:g}"


def _onset(t: pd.DataFrame) -> pd.Series:
    """For each row, the smallest p of its curve at which every seed met the stop rule; +inf where none did."""
    all_settled = t.groupby("cell")["settled"].transform("all") if len(t) else t["settled"]
    smallest = t["p"].where(all_settled.astype(bool)).groupby(t["curve"]).transform("min")
    return smallest.fillna(np.inf)


def fit_rows(trials: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The rows of a kind that enter fits: `entered`, on curves with at least MIN_SIZES sizes left, whole cells only."""
    mine = trials[trials["kind"].eq(kind)]
    whole = mine[mine.groupby("cell")["entered"].transform("all").astype(bool)] if len(mine) else mine
    sizes = whole.groupby("curve")["p"].transform("nunique") if len(whole) else whole["p"]
    return whole[sizes >= MIN_SIZES]
