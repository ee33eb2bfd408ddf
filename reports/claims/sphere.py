"""C3: random points on a sphere are a diameter apart. Their distances, in radii, gather at √2 and
not at 2 as d grows."""

import math

import pandas as pd

from reports.claims.claim import UNTESTED, Finding, Statement
from reports.evidence import Evidence
from reports.law import Fits
from reports.measures import pair_distances
from reports.numbers import Number, Sentence

DIAMETER = 2.0
TYPICAL = math.sqrt(2)
NEARLY = 1.9

STATEMENT = Statement(
    "C3",
    "Random points on a high-dimensional sphere are almost all a whole diameter apart",
    "popular accounts",
    "Distances between two different inputs on the unit sphere, in radii, at the largest d."
    " Contradicted if the range from their 1 % to their 99 % quantile excludes 2 and contains √2."
    " Supported if 95 % of them exceed 1.9.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    on_sphere = evidence.trials[evidence.trials["isoperimetry"].eq("proved")]
    on_sphere = on_sphere.loc[pair_distances(on_sphere, "50 %").index]
    if on_sphere.empty:
        return UNTESTED

    dimensions = sorted(on_sphere["d_ambient"].unique())
    ends = [dimensions[0], dimensions[-1]] if len(dimensions) > 1 else dimensions
    sentences = [_distances(int(d), on_sphere[on_sphere["d_ambient"].eq(d)]) for d in ends]

    largest = sentences[-1].parts
    low = largest["low"].value
    high = largest["high"].value
    if high < DIAMETER and low <= TYPICAL <= high:
        return Finding("contradicted", sentences)
    supported = largest["fifth"].value >= NEARLY
    return Finding("supported" if supported else "undecided", sentences)


def _distances(d: int, rows: pd.DataFrame) -> Sentence:
    """State quantiles of the distance in radii, each a median over the data sets of this d."""
    rows = rows.drop_duplicates("data_hash")
    trials = tuple(rows["trial_id"])

    def number(name: str, value: float, how: str, style: str = "sig3") -> Number:
        return Number(f"C3:{d}:{name}", value, how, trials, style)

    def radii(name: str, quantile: str) -> Number:
        how = f"pair_distance_quantiles × data_unit, {quantile} quantile; median over data sets"
        in_radii = pair_distances(rows, quantile) * rows["data_unit"]
        return number(name, float(in_radii.median()), how)

    mean = float((rows["pair_distance_mean"] * rows["data_unit"]).median())
    parts = {
        "d": number("d", d, "column d_ambient", "int"),
        "mean": number("mean", mean, "pair_distance_mean × data_unit; median over data sets"),
        "low": radii("low", "1 %"),
        "high": radii("high", "99 %"),
        "fifth": radii("fifth", "5 %"),
    }
    return Sentence(
        "d = {d}: two points are {mean} radii apart on average, nearly all of them between {low}"
        " and {high}, and 95 % of them more than {fifth}.",
        parts,
    )
