"""The section "The data": the dimension of each data set by several estimates, the law's constant c
from below, and how far apart two inputs lie."""

from typing import NamedTuple

import pandas as pd

from reports.evidence import OUTSIDE, Evidence
from reports.law import Fits
from reports.measures import pair_distances
from reports.numbers import Number
from reports.sections.section import Section, fill

CONSTANTS = ("isoperimetry_c", "isoperimetry_c_variance", "isoperimetry_c_within")
ESTIMATES = ("d_participation", "d_twonn", "d_mle")
QUANTILES = ("1 %", "25 %", "50 %", "75 %", "99 %")
"""The quantiles of the distance between two inputs that are shown."""


class DataSet(NamedTuple):
    """One task at one ambient dimension. Estimates are pairs: the value, and its spread over
    subsamples."""

    name: str
    sets: Number
    ambient: Number
    estimates: list[tuple[Number, Number]]
    distances: list[Number]
    constants: list[Number | None]
    """c from the tails, from the variance, and within classes; None in rows that lack it."""

    def numbers(self) -> list[Number]:
        estimates = [number for pair in self.estimates for number in pair]
        constants = [number for number in self.constants if number]
        return [self.sets, self.ambient, *estimates, *self.distances, *constants]


def section(evidence: Evidence, fits: Fits) -> Section | None:
    shown = data_sets(evidence)
    if not shown:
        return None
    numbers = [number for data_set in shown for number in data_set.numbers()]
    html = fill("data_sets.html.j2", data_sets=shown)
    return Section("data", "The data: how many dimensions, how far apart", html, numbers)


def data_sets(evidence: Evidence) -> list[DataSet]:
    """Return one line for each task and ambient dimension whose rows hold the data's dimension."""
    trials = evidence.all_trials
    # Inputs that a model learned are its own, and no data set.
    trials = trials[trials["isoperimetry"].ne(OUTSIDE)]
    known = trials.loc[pair_distances(trials, "50 %").index]
    known = known[known["d_participation"].notna()]
    return [
        _data_set(rows.drop_duplicates("data_hash"))
        for _, rows in known.groupby(["task", "d_ambient"])
    ]


def _data_set(rows: pd.DataFrame) -> DataSet:
    """Return the line for these rows, one row for each distinct data set."""
    task = str(rows["task"].iloc[0])
    d = int(rows["d_ambient"].iloc[0])
    key = f"data:{task}:{d}"
    trials = tuple(rows["trial_id"])

    def median(name: str, values: pd.Series, how: str) -> Number:
        value = float(values.median())
        return Number(f"{key}:{name}", value, f"{how}, median over data sets", trials)

    estimates = []
    for column in ESTIMATES:
        spread = f"{column}_spread"
        estimates.append(
            (
                median(column, rows[column], f"column {column}"),
                median(spread, rows[spread], f"column {spread}"),
            )
        )

    distances = []
    for quantile in QUANTILES:
        how = f"{quantile} quantile of pair_distance_quantiles"
        distances.append(median(f"distance {quantile}", pair_distances(rows, quantile), how))

    constants = [
        median(column, rows[column], f"column {column}") if rows[column].notna().any() else None
        for column in CONSTANTS
    ]
    return DataSet(
        task,
        Number(f"{key}:sets", len(rows), "number of distinct data_hash", trials, "int"),
        Number(f"{key}:d", d, "column d_ambient", trials, "int"),
        estimates,
        distances,
        constants,
    )
