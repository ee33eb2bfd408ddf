"""Compute the numbers of the section "The frontier" again from plain rows, by other code."""

import json
import math

import numpy as np
import pandas as pd
from scipy.stats import t

from reports.search_gap import FILE
from tests.reports.planted_frontiers import PROBLEM


def of_cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean log radius of each curve's sizes, with what places them."""
    config = [json.loads(text) for text in rows["config_json"]]
    rows = rows.assign(depth=[c["depth"] for c in config], width=[c["width"] for c in config])
    rows = rows.assign(log_r=np.log(rows["frontier_radius"].astype(float)))
    means = rows.groupby(["n", "d_ambient", "depth", "p"]).agg(
        log_r=("log_r", "mean"), width=("width", "first")
    )
    return means.reset_index().rename(columns={"d_ambient": "d"})


def slope_of(rows: pd.DataFrame, variable: str, groups: list[str]) -> tuple[float, float]:
    """Return a slope with a level for each group of several places, and half its interval."""
    rows = rows[rows.groupby(groups)[variable].transform("nunique") > 1]
    cells = [json.loads(text) for text in rows["config_json"]]
    x = np.log(rows[variable].to_numpy(float))
    y = np.log(rows["frontier_radius"].to_numpy(float))
    levels = pd.get_dummies(rows.groupby(groups).ngroup()).to_numpy(float)
    design = np.column_stack([levels, x])
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    residual = pd.Series(y - design @ solution)
    freedom = len(y) - design.shape[1]

    by_cell = residual.groupby([json.dumps(cell | {"search_seed": 0}) for cell in cells])
    misfit = (by_cell.sum() ** 2 / by_cell.size()).sum() / (by_cell.ngroups - design.shape[1])
    variance = max((residual**2).sum() / freedom, misfit)
    error = math.sqrt(variance * np.linalg.inv(design.T @ design)[-1, -1])
    return float(solution[-1]), float(t.ppf(0.975, freedom)) * error


def around(name: str, value: float, half: float) -> float:
    return value + {"low": -half, "high": half}.get(name.split()[-1], 0.0)


def of_cell(key: str, used: pd.DataFrame) -> float:
    column = key.rpartition(":")[2]
    first = used.iloc[0]
    if column == "multiple":
        by_law = first["p"] / (first["n"] * first["d_ambient"])
        return geometric(used["frontier_radius"]) / math.sqrt(by_law)
    columns = {
        "d": "d_ambient",
        "radius": "frontier_radius",
        "missed": "frontier_radius_missed",
        "plain": "training_radius",
        "r_inf": "radius_ceiling",
        "r_law": "radius_law",
        "r_law_32bit": "radius_law_32bit",
    }
    values = used[columns.get(column, column)]
    return geometric(values) if column in ("radius", "missed", "plain") else values.mean()


def geometric(values: pd.Series) -> float:
    """Return the geometric mean, as the chart and the sentences state radii."""
    return math.prod(map(float, values)) ** (1 / len(values))


def recomputed(key: str, used: pd.DataFrame, rows: pd.DataFrame) -> float:
    name = key.removeprefix(f"frontier:{PROBLEM}:")
    searched = rows[rows["frontier"].notna()]
    counts = {
        "all": len(searched),
        "missed": 0,
        "trainings": searched["frontier_trainings"].sum(),
        "trapped": 0,
        "cells": len(of_cells(searched)),
        "binding": binding(searched),
        "ratio min": (used["p"] / used["n"]).min(),
        "ratio max": (used["p"] / used["n"]).max(),
        "d min": used["d_ambient"].min(),
        "d max": used["d_ambient"].max(),
    }
    if name in counts:
        return counts[name]
    if name.startswith(("constant", "plain")):
        return mean_over_curves(name, used)
    if name.startswith("bend"):
        return bend(name, searched)
    if name.startswith(("miss ", "gain ")):
        return held_out(name, searched)
    if name.startswith("depth"):
        return depth(name, used)
    if name.startswith("gap"):
        return gap(name)
    if name.startswith("p"):
        return widened(name, *slope_of(used, "p", ["n", "d_ambient"]), *gap_slopes()[1])
    used = used.assign(ratio=(used["p"] / used["n"]).round())
    return widened(name, *slope_of(used, "d_ambient", ["ratio", "n"]), *gap_slopes()[0])


def gap_slopes() -> np.ndarray:
    """Return slope and half its interval in log d and in log(p/n), (2, 2), of the planted fits."""
    found = pd.read_csv(FILE)
    x = np.column_stack([np.log(found["d"]), np.log(found["p"] / found["n"])])
    x = np.column_stack([x - x.mean(0), np.ones(len(x))])
    slopes, residual, *_ = np.linalg.lstsq(x, np.log(found["share"].clip(upper=1)), rcond=None)
    variance = residual[0] / (len(x) - 3) * np.diag(np.linalg.inv(x.T @ x))
    half = t.ppf(0.975, len(x) - 3) * np.sqrt(variance)
    return np.column_stack([slopes, half])[:2]


def gap(name: str) -> float:
    found = pd.read_csv(FILE)["share"].clip(upper=1)
    counts = {
        "gap searches": len(found),
        "gap share": np.exp(np.log(found).mean()),
        "gap least": found.min(),
        "gap below": (found < 0.95).sum(),
    }
    if name in counts:
        return float(counts[name])
    slope, half = gap_slopes()[0 if name.split()[1] == "d" else 1]
    return around(name, slope, half)


def widened(name: str, slope: float, half: float, of_gap: float, half_gap: float) -> float:
    both = math.hypot(half, half_gap)
    ends = {
        "low": min(slope, slope - of_gap) - both,
        "high": max(slope, slope - of_gap) + both,
    }
    return ends.get(name.split()[-1], slope)


def binding(searched: pd.DataFrame) -> int:
    first = searched.drop_duplicates("config_json")
    law = np.sqrt(
        8 / first["d_ambient"] * (first["p"] / first["n"] + 0.56 + np.log(40) / first["n"])
    )
    return int((law < first["radius_ceiling"]).sum())


def window(searched: pd.DataFrame) -> pd.DataFrame:
    """Return the cells from twice the smallest size on, below half of r∞."""
    cells = of_cells(searched)
    ceilings = searched.groupby(["n", "d_ambient"])["radius_ceiling"].first()
    ceiling = [ceilings[n, d] for n, d in zip(cells["n"], cells["d"], strict=True)]
    curve = cells.groupby(["n", "d", "depth"])
    raw = searched.groupby(["n", "d_ambient", "p"])["frontier_radius"].mean()
    plain_mean = [raw[n, d, p] for n, d, p in zip(cells["n"], cells["d"], cells["p"], strict=True)]
    inside = cells["p"].ge(1.8 * curve["p"].transform("min")) & (
        np.array(plain_mean) <= 0.5 * np.array(ceiling)
    )
    cells["r_inf"] = ceiling
    return cells[inside]


def mean_over_curves(name: str, used: pd.DataFrame) -> float:
    frontier_rows = used[used["frontier"].notna()]
    cells = of_cells(frontier_rows)
    value = cells["log_r"] - 0.5 * np.log(cells["p"] / (cells["n"] * cells["d"]))
    if name.startswith("plain"):
        trained = used[used["frontier"].isna()].assign(frontier_radius=used["training_radius"])
        value = of_cells(trained)["log_r"] - cells["log_r"]
    by_curve = value.groupby([cells["n"], cells["d"], cells["depth"]]).mean()
    half = t.ppf(0.975, len(by_curve) - 1) * by_curve.std() / math.sqrt(len(by_curve))
    ends = {"smallest": value.min(), "largest": value.max()}
    end = name.split()[-1]
    return math.exp(ends.get(end, around(name, float(by_curve.mean()), float(half))))


def bend(name: str, searched: pd.DataFrame) -> float:
    found = []
    for _, own in window(searched).groupby(["n", "d", "depth"]):
        if own["p"].max() / own["p"].min() >= 10**0.98 and len(own) > 2:
            found.append(abs(np.polyfit(np.log(own["p"]), own["log_r"], 2)[0]) * math.log(10))
    return {"bend least": min(found), "bend most": max(found)}[name]


def held_out(name: str, searched: pd.DataFrame) -> float:
    """Leave each curve on which the law can bind out, and predict it by a fit to the others."""
    cells = window(searched)
    first = of_cells(searched).groupby(["n", "d", "depth"])["p"].min()
    smallest = np.array(
        [first[key] for key in zip(cells["n"], cells["d"], cells["depth"], strict=True)]
    )
    law = np.sqrt(8 / cells["d"] * (smallest / cells["n"] + 0.56 + np.log(40) / cells["n"]))
    cells = cells[law < cells["r_inf"]].reset_index(drop=True)

    form = name.removeprefix("miss ").removeprefix("gain ")
    if name.startswith("miss"):
        return math.exp(math.sqrt((misses(form, cells) ** 2).mean()))
    form = form.removesuffix(" low").removesuffix(" high")
    gains = misses(form, cells) - misses("p/(n·d)", cells)
    half = t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / math.sqrt(len(gains))
    return around(name, float(gains.mean()), float(half))


def misses(form: str, cells: pd.DataFrame) -> np.ndarray:
    variable = form.removeprefix("A + B·ln ")
    values = {
        "p/(n·d)": cells["p"] / (cells["n"] * cells["d"]),
        "p/n": cells["p"] / cells["n"],
        "m/n": cells["width"] * cells["depth"] / cells["n"],
    }
    z = np.log(values[variable].to_numpy(float))
    y = cells["log_r"].to_numpy()
    share = (z - z.min()) / (z.max() - z.min())
    bent = np.log(np.maximum(0.02, 1 + np.expm1(np.linspace(-2, 8, 2001))[:, None] * share))

    found = []
    for _, own in cells.groupby(["n", "d", "depth"]):
        out = own.index.to_numpy()
        known = np.setdiff1d(cells.index, out)
        if form == variable:
            slope, level = np.polyfit(z[known], y[known], 1)
            predicted = level + slope * z[out]
        else:
            levels = (y[known] - bent[:, known]).mean(1)
            best = ((y[known] - bent[:, known] - levels[:, None]) ** 2).sum(1).argmin()
            predicted = levels[best] + bent[best, out]
        found.append(math.sqrt(((y[out] - predicted) ** 2).mean()))
    return np.array(found)


def depth(name: str, used: pd.DataFrame) -> float:
    config = [json.loads(text) for text in used["config_json"]]
    used = used.assign(depth=[c["depth"] for c in config], width=[c["width"] for c in config])
    pairs = used[used["depth"].eq(2)].merge(
        used[used["depth"].eq(1)], on=["n", "d_ambient", "seed"], suffixes=("", "_1")
    )
    pairs = pairs[(pairs["p"] / pairs["p_1"] - 1).abs() <= 0.1]
    pairs = pairs.assign(
        neurons=2 * pairs["width"] / pairs["width_1"],
        frontier_radius=pairs["frontier_radius"] / pairs["frontier_radius_1"],
    )
    return around(name, *slope_of(pairs, "neurons", ["depth"]))
