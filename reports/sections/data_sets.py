"""What the data sets are like: their dimensions by several estimates, and how far apart two
inputs lie."""

from typing import NamedTuple

import pandas as pd

from reports.evidence import Evidence
from reports.measures import pair_distances
from reports.numbers import Number

SHOWN = ("1 %", "25 %", "50 %", "75 %", "99 %")
"""Quantiles of the distance between two inputs."""


class DataSet(NamedTuple):
    """One task at one ambient dimension. Estimates are pairs: the value, and its spread over
    subsamples."""

    name: str
    sets: Number
    ambient: Number
    estimates: list[tuple[Number, Number]]
    distances: list[Number]

    def numbers(self) -> list[Number]:
        return [
            self.sets,
            self.ambient,
            *(n for pair in self.estimates for n in pair),
            *self.distances,
        ]


def data_sets(evidence: Evidence) -> list[DataSet]:
    """A line per task and ambient dimension whose rows tell the data's dimension."""
    known = evidence.trials.loc[pair_distances(evidence.trials, "50 %").index]
    known = known[known["d_participation"].notna()]
    return [
        _data_set(rows.drop_duplicates("data_hash"))
        for _, rows in known.groupby(["task", "d_ambient"])
    ]


def _data_set(rows: pd.DataFrame) -> DataSet:
    task, d = str(rows["task"].iloc[0]), int(rows["d_ambient"].iloc[0])
    key, ids = f"data:{task}:{d}", tuple(rows["trial_id"])

    def median(name: str, values: pd.Series, how: str) -> Number:
        return Number(f"{key}:{name}", float(values.median()), f"{how}, median over data sets", ids)

    columns = ("d_participation", "d_twonn", "d_mle")
    return DataSet(
        task,
        Number(f"{key}:sets", len(rows), "number of distinct data_hash", ids, "int"),
        Number(f"{key}:d", d, "column d_ambient", ids, "int"),
        [
            (
                median(c, rows[c], f"column {c}"),
                median(f"{c}_spread", rows[f"{c}_spread"], f"column {c}_spread"),
            )
            for c in columns
        ],
        [
            median(
                f"distance {q}", pair_distances(rows, q), f"{q} quantile of pair_distance_quantiles"
            )
            for q in SHOWN
        ],
    )
