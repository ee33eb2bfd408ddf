"""C3: distances between random points on a sphere, in radii, against d. They gather at √2 and
not at 2."""

import math

import pandas as pd

from reports.claims.claim import UNTESTED, Finding, Statement
from reports.evidence import Evidence
from reports.law import Fits
from reports.measures import pair_distances
from reports.numbers import Number, Sentence

DIAMETER, TYPICAL = 2.0, math.sqrt(2)
NEARLY = 1.9

STATEMENT = Statement(
    "C3",
    "Random points on a high-dimensional sphere are almost all a whole diameter apart",
    "popular accounts",
    "Distances of two different inputs on the unit sphere, in radii, at the largest d. Contradicted"
    " if the range from their 1 to their 99 % quantile excludes 2 and holds √2. Supported if 95 %"
    " of them exceed 1.9.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    on_sphere = evidence.trials[evidence.trials["isoperimetry"].eq("proved")]
    on_sphere = on_sphere.loc[pair_distances(on_sphere, "50 %").index]
    if on_sphere.empty:
        return UNTESTED
    dimensions = sorted(on_sphere["d_ambient"].unique())
    ends = [dimensions[0], dimensions[-1]] if len(dimensions) > 1 else dimensions
    found = [_distances(int(d), on_sphere[on_sphere["d_ambient"].eq(d)]) for d in ends]
    low, fifth, high = (found[-1].parts[name].value for name in ("low", "fifth", "high"))
    if high < DIAMETER and low <= TYPICAL <= high:
        return Finding("contradicted", found)
    return Finding("supported" if fifth >= NEARLY else "undecided", found)


def _distances(d: int, rows: pd.DataFrame) -> Sentence:
    """Quantiles of the distance in radii, each the median over data sets of this d."""
    rows = rows.drop_duplicates("data_hash")
    ids, key = tuple(rows["trial_id"]), f"C3:{d}"

    def radii(name: str, quantile: str) -> Number:
        how = f"pair_distance_quantiles × data_unit, {quantile} quantile; median over data sets"
        return Number(
            f"{key}:{name}",
            float((pair_distances(rows, quantile) * rows["data_unit"]).median()),
            how,
            ids,
        )

    mean = float((rows["pair_distance_mean"] * rows["data_unit"]).median())
    parts = {
        "d": Number(f"{key}:d", d, "column d_ambient", ids, "int"),
        "mean": Number(
            f"{key}:mean", mean, "pair_distance_mean × data_unit; median over data sets", ids
        ),
        "low": radii("low", "1 %"),
        "high": radii("high", "99 %"),
        "fifth": radii("fifth", "5 %"),
    }
    text = (
        "d = {d}: two points are {mean} radii apart on average, nearly all of them between {low}"
        " and {high}; 95 % beyond {fifth}."
    )
    return Sentence(text, parts)
