"""The sensitivity measures that the report draws and fits, each as one value per row.

Rows hold lists (one value per radius) and alternatives (a better estimate that older rows lack).
Here each becomes one column; a row that lacks a measure has NaN there, and every chart and claim
leaves it out.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from reports.entries import entries

FLIP_RADIUS = 0.2
"""Length of the input noise behind flip_rate and kl_noise, in data units. For comparison: replacing
one token moves a window of 16 tokens by about 0.35."""
FAR = 8
"""Distance before the target, in tokens, at which a replaced token counts as a disturbance. Nearer
to the target the right answer changes with the token, and a prediction that stays is ignorant, not
robust."""
LINF_RADIUS = 0.3
"""ℓ∞ radius over the length of the box that inputs lie in: Madry et al.'s for pixels in [0, 1]."""
SMALLER_RADII = (0.2, 0.1, 0.05, 0.02)
"""Smaller ℓ∞ radii: at LINF_RADIUS models that were not trained against an adversary get nothing
right."""
L2_RADIUS = 0.08
"""ℓ2 radius in data units. It is near the typical distance to the decision boundary on MNIST, where
robust accuracy tells models apart."""
SEVERITY = 3
"""Severity of the corruptions shown: the middle of five."""

STABILITY = "stability_attack_mean"
RADIUS = "training_radius"
LOWER = "lip_lower"
LOWER_CLASSES = "lip_lower_normalised"
MEAN = "lip_mean"
MEAN_CLASSES = "lip_mean_normalised"
UPPER = "lip_upper_product"
UPPER_CLASSES = "lip_upper_normalised"


class Measure(NamedTuple):
    """A sensitivity measure that gets a slope: its column, the side of 0 that is robust, its name,
    and the targets that it is for.

    `telling`: the slope says something about the models. The slope of a guarantee does not, because
    a guarantee may fall merely by getting looser with size.
    """

    column: str
    robust: int
    name: str
    targets: Literal["all", "±1", "classes"] = "all"
    telling: bool = True
    trained_on: bool = False
    """Only models trained beyond the noise level enter. A model that stops as soon as its error
    reaches R*/2 has a training radius of 0 by construction."""


MEASURES = (
    Measure(STABILITY, +1, "stability, nearest label change found"),
    Measure(RADIUS, +1, "training radius, nearest label change found", trained_on=True),
    Measure("stability_first_order_mean", +1, "stability, first order"),
    Measure("stability_certified_mean", +1, "stability, certified (a guarantee)", telling=False),
    Measure("robust_area_l2", +1, "accuracy under attack, mean over the ℓ2 radii"),
    Measure("robust_area_linf", +1, "accuracy under attack, mean over the ℓ∞ radii"),
    Measure("flip_rate", -1, f"labels flipped by input noise of {FLIP_RADIUS:g} data units"),
    Measure(
        "kl_noise",
        -1,
        f"KL shift of the prediction under input noise of {FLIP_RADIUS:g} data units",
        "classes",
    ),
    Measure(
        "kl_far_token",
        -1,
        f"KL shift of the prediction when the token {FAR} places before the target is replaced",
        "classes",
    ),
    Measure(LOWER, -1, "Lipschitz lower estimate", "±1"),
    Measure(LOWER_CLASSES, -1, "Lipschitz lower estimate over the mean margin", "classes"),
    Measure(MEAN, -1, "mean Jacobian norm (no law holds for it)", "±1"),
)


def with_measures(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials with one more column for each derived measure.

    flip_rate: share of predictions changed by noise of FLIP_RADIUS. kl_noise: mean KL of the
    prediction under that noise from the clean one. kl_far_token: mean KL with the token at distance
    FAR replaced. robust_linf, robust_l2: accuracy under attack at the radius nearest LINF_RADIUS
    (for inputs in a box) or L2_RADIUS; the radius itself is in …_radius (ℓ∞: over the box's
    length). robust_linf_R: the same at the radius R of SMALLER_RADII. robust_area_linf,
    robust_area_l2: mean accuracy under attack over the radii tried. lip_lower: lip_lower_pairs for
    kinds whose every row has it, else lip_lower_grad; lip_lower_from says which. lip_mean: the same
    of lip_mean_jacobian and lip_mean_grad, which are equal for a ±1 target. corruption_KIND:
    accuracy under that corruption at severity SEVERITY.
    """
    t = trials.copy()
    flips = _alike(t["noise_radii"], t["noise_flip_rate"])
    shifts = _alike(t["noise_radii"], t["noise_kl"])
    derived = {
        "flip_rate": _per_row(_at(FLIP_RADIUS), flips, len(t)),
        "kl_noise": _per_row(_at(FLIP_RADIUS), shifts, len(t)),
        "kl_far_token": _far_token(t["token_changes"]),
    }

    linf_radii = _in_boxes(t["robust_linf_radii"], t["robust_linf_box"])
    linf = _alike(linf_radii, t["robust_accuracy_linf"])
    l2 = _alike(t["robust_l2_radii"], t["robust_accuracy_l2"])
    for name, curves, wanted in (("linf", linf, LINF_RADIUS), ("l2", l2, L2_RADIUS)):
        derived[f"robust_{name}"] = _per_row(_nearest_to(wanted), curves, len(t))
        derived[f"robust_{name}_radius"] = _per_row(_radius_nearest_to(wanted), curves, len(t))
        derived[f"robust_area_{name}"] = _per_row(_mean_over_radii, curves, len(t))
    for radius in SMALLER_RADII:
        derived[f"robust_linf_{radius:g}"] = _per_row(_nearest_to(radius), linf, len(t))

    derived |= _accuracy_under_corruptions(t["corruptions"])

    columns = {
        name: pd.Series(values, index=t.index, dtype=float) for name, values in derived.items()
    }
    t = t.assign(**columns)
    t[LOWER], t["lip_lower_from"] = _best(t, "lip_lower_pairs", "lip_lower_grad")
    t[MEAN], _ = _best(t, "lip_mean_jacobian", "lip_mean_grad")
    return t


def as_list(value: Any) -> list[Any]:
    """Return a list column's value, empty for a null."""
    return list(value) if isinstance(value, np.ndarray | list) else []


QUANTILES = ("1 %", "5 %", "25 %", "50 %", "75 %", "95 %", "99 %")
"""The quantiles in the column pair_distance_quantiles, in order."""


def pair_distances(trials: pd.DataFrame, quantile: str) -> pd.Series:
    """Return one quantile of the distance between two inputs, in data units, for each trial that
    has the quantiles."""
    place = QUANTILES.index(quantile)
    rows = [as_list(row) for row in trials["pair_distance_quantiles"]]
    values = [float(row[place]) if len(row) == len(QUANTILES) else float("nan") for row in rows]
    return pd.Series(values, index=trials.index, dtype=float).dropna()


Take = Callable[[np.ndarray, np.ndarray], np.ndarray | float]
"""A function of radii (k,) that rows share and the values at them (rows, k): one number a row, or
one for all."""


class Alike(NamedTuple):
    """The rows (N,) that share their radii (k,), with the values (N, k) at them."""

    rows: list[int]
    radii: np.ndarray
    values: np.ndarray


def _alike(radii: Iterable[Any], values: Iterable[Any]) -> list[Alike]:
    """Return the rows in groups of equal radii, without those that have none, or not as many radii
    as values. A store has few sets of radii, so what is asked of a group is asked once."""
    own_radii = [_array(r) for r in radii]
    own_values = [_array(v) for v in values]
    rows_of: dict[bytes, list[int]] = {}
    for k, (r, v) in enumerate(zip(own_radii, own_values, strict=True)):
        if len(r) and len(r) == len(v):
            rows_of.setdefault(r.tobytes(), []).append(k)
    return [
        Alike(rows, own_radii[rows[0]], np.array([own_values[k] for k in rows]))
        for rows in rows_of.values()
    ]


def _per_row(take: Take, curves: list[Alike], rows: int) -> np.ndarray:
    """Return (rows,) what is taken of each row's radii and values; NaN where the row has none."""
    taken = np.full(rows, np.nan)
    for own in curves:
        taken[own.rows] = take(own.radii, own.values)
    return taken


def _array(value: Any) -> np.ndarray:
    """Return a list column's value as numbers, empty for a null."""
    return np.asarray(value, float) if isinstance(value, np.ndarray | list) else NO_VALUES


NO_VALUES = np.empty(0)


def _in_boxes(radii: Iterable[Any], box: Iterable[Any]) -> list[np.ndarray]:
    """Return each row's radii over the length of its box, or an empty array without a box."""
    found = []
    for r, b in zip(radii, box, strict=True):
        ends = _array(b)
        whole = len(ends) == 2 and ends[1] > ends[0]
        found.append(_array(r) / (ends[1] - ends[0]) if whole else NO_VALUES)
    return found


def _at(wanted: float) -> Take:
    """Return a function that takes the value at exactly this radius, or NaN."""

    def take(radii: np.ndarray, values: np.ndarray) -> np.ndarray | float:
        there = np.flatnonzero(radii == wanted)
        return values[:, there[-1]] if len(there) else float("nan")

    return take


def _nearest_to(wanted: float) -> Take:
    """Return a function that takes the value at the radius nearest to `wanted`."""
    return lambda radii, values: values[:, np.abs(radii - wanted).argmin()]


def _radius_nearest_to(wanted: float) -> Take:
    return lambda radii, values: float(radii[np.abs(radii - wanted).argmin()])


def _mean_over_radii(radii: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the area under accuracy against radius, divided by the range of the radii."""
    order = np.argsort(radii)
    r, v = radii[order], values[:, order]
    if not r[-1] > r[0]:
        return v.mean(axis=1)
    return np.trapezoid(v, r, axis=1) / (r[-1] - r[0])


def _accuracy_under_corruptions(corruptions: pd.Series) -> dict[str, np.ndarray]:
    """Return a column for each kind that any row has at severity SEVERITY, in alphabetical
    order."""
    found = entries(corruptions, "kind", "severity", "accuracy")
    found = found[found["severity"].eq(SEVERITY) & found["kind"].notna() & found["kind"].ne("")]
    return {
        f"corruption_{kind}": _one_per_row(own, "accuracy", len(corruptions))
        for kind, own in found.groupby("kind")
    }


def _far_token(changes: pd.Series) -> np.ndarray:
    found = entries(changes, "kind", "distance", "kl")
    found = found[found["kind"].eq("replaced") & found["distance"].eq(FAR)]
    return _one_per_row(found, "kl", len(changes))


def _one_per_row(found: pd.DataFrame, field: str, rows: int) -> np.ndarray:
    """Return (rows,) the first known value of each row's entries; NaN where there is none."""
    known = found[found[field].notna()].drop_duplicates("row")
    values = np.full(rows, np.nan)
    values[known["row"]] = known[field]
    return values


def _best(t: pd.DataFrame, better: str, older: str) -> tuple[pd.Series, pd.Series]:
    """Return one estimate per kind, and the column that each value comes from. A slope through two
    different estimates would mix them."""
    whole = t[better].notna().groupby(t["kind"]).transform("all").astype(bool)
    values = t[better].where(whole, t[older]).astype(float)
    columns = pd.Series(np.where(whole, better, older), index=t.index, dtype=object)
    return values, columns
