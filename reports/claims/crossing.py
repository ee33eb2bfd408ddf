"""C4: the size at which accuracy on MNIST passes 90 and 95 %, between neighbouring sizes of the
grid; clean and robust."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports.claims.claim import (
    ALL_DIGITS,
    UNTESTED,
    Finding,
    Statement,
    clean_digits,
    verdict_over,
)
from reports.evidence import Evidence
from reports.law import Fits
from reports.measures import LINF_RADIUS
from reports.numbers import Number, Sentence
from reports.published.tables import Published, madry2018

STATEMENT = Statement(
    "C4",
    "MNIST needs 1e5 parameters for 90 % and 1e6 for 95 %",
    "popular accounts; Bubeck & Sellke 2021 speak of robust accuracy, 2e5 and 3e6, after Madry et"
    " al. 2018",
    "Clean accuracy, each number by itself. Contradicted if the accuracy is passed at fewer"
    " parameters; supported if the bracket contains the stated number and is narrower than a factor"
    " of 4; contradicted if all 60 000 digits were trained on and it is not passed up to the stated"
    " number. Robust accuracy, of CNNs trained against PGD, at pixel changes of 0.3, against 2e5"
    " and 3e6: supported if the bracket contains the number and is narrower than a factor of 4,"
    " otherwise undecided, since a search can miss changes and another training can be better. The"
    " row is contradicted if any part is, supported if every part is.",
)


class AccuracyThreshold(NamedTuple):
    """One accuracy level and the number of parameters that is said to be needed for it."""

    column: str
    name: str
    target: float
    stated: float
    only_upper: bool
    """The accuracy is an upper estimate: passing early or not at all contradicts nothing."""


CLEAN = tuple(
    AccuracyThreshold("test_accuracy", "clean accuracy", target, stated, False)
    for target, stated in ((0.90, 1e5), (0.95, 1e6))
)
ROBUST = tuple(
    AccuracyThreshold("robust_linf", "robust accuracy", target, stated, True)
    for target, stated in ((0.90, 2e5), (0.95, 3e6))
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    digits = clean_digits(evidence.trials)
    trained = digits[digits["adversary"].eq("pgd") & digits["family"].eq("mnist-cnn")]
    trained = trained[
        (trained["robust_linf_radius"] - LINF_RADIUS).abs().lt(1e-6)
        & trained["robust_linf"].notna()
    ]
    parts = [
        (half, rows)
        for half in CLEAN
        for _, rows in digits[digits["adversary"].eq("none")].groupby("curve", sort=False)
    ]
    parts += [(half, rows) for half in ROBUST for _, rows in trained.groupby("curve", sort=False)]
    if not parts:
        return UNTESTED
    found = [_crossing(half, rows) for half, rows in parts]
    beside = [
        s for _, rows in trained.groupby("curve", sort=False) for s in _beside_published(rows)
    ]
    return Finding(
        verdict_over(verdict for _, verdict in found), [sentence for sentence, _ in found] + beside
    )


def _crossing(half: AccuracyThreshold, rows: pd.DataFrame) -> tuple[Sentence, str]:
    """Where the mean accuracy over seeds first passes the target, and what that says of needing
    the stated size."""
    column, target, stated = half.column, half.target, half.stated
    mean = rows.groupby("p")[column].mean().sort_index()
    p, accuracy = mean.index.to_numpy(float), mean.to_numpy(float)
    n, ids, key = (
        int(rows["n"].iloc[0]),
        tuple(rows["trial_id"]),
        f"C4:{rows['curve'].iloc[0]}:{column}:{target:g}",
    )
    parts: dict[str, Any] = {
        "kind": rows["kind"].iloc[0],
        "name": half.name,
        "n": Number(f"{key}:n", n, "column n", ids, "int"),
        "target": f"{target:.0%}".replace("%", " %"),
        "best": Number(
            f"{key}:best",
            float(accuracy.max()),
            f"largest mean {column} over seeds",
            ids,
            "percent",
        ),
        "largest": Number(f"{key}:largest", float(p.max()), "largest p", ids, "int"),
    }
    above = np.flatnonzero(accuracy >= target)
    if not len(above):
        text = "{kind}, n = {n}: {target} {name} not reached; best {best}, up to p = {largest}"
        verdict = "contradicted" if n >= ALL_DIGITS and p.max() >= stated else "undecided"
    elif above[0] == 0:
        parts["at"] = Number(f"{key}:at", float(p[0]), "smallest p of the grid", ids, "int")
        text = (
            "{kind}, n = {n}: {target} {name} already passed at the smallest size, p = {at}; best"
            " {best}"
        )
        verdict = "contradicted" if p[0] < stated else "undecided"
    else:
        i = int(above[0])
        seeds = [
            _crossing_at(one.set_index("p")[column].sort_index(), target)
            for _, one in rows.groupby("seed")
        ]
        passed = [at for at in seeds if np.isfinite(at)]
        how = (
            f"linear in log p between neighbouring sizes of the mean {column} over seeds, at"
            f" {target:g}"
        )
        parts |= {
            "at": Number(f"{key}:at", _crossing_at(mean, target), how, ids, "int"),
            "low": Number(
                f"{key}:low", float(p[i - 1]), "largest p before the crossing", ids, "int"
            ),
            "high": Number(f"{key}:high", float(p[i]), "smallest p after the crossing", ids, "int"),
            "first": Number(
                f"{key}:first seed", min(passed), "smallest crossing of a single seed", ids, "int"
            ),
            "last": Number(
                f"{key}:last seed", max(passed), "largest crossing of a single seed", ids, "int"
            ),
            "passing": Number(f"{key}:seeds passing", len(passed), "seeds that cross", ids, "int"),
            "seeds": Number(f"{key}:seeds", len(seeds), "seeds", ids, "int"),
        }
        text = (
            "{kind}, n = {n}: {target} {name} passed at p ≈ {at} (between {low} and {high}; {first}"
            " to {last} over the {passing} of {seeds} seeds that pass); best {best}"
        )
        narrow = p[i] / p[i - 1] <= 4
        verdict = (
            "contradicted"
            if p[i] < stated
            else "supported"
            if p[i - 1] <= stated <= p[i] and narrow
            else "undecided"
        )
    if half.only_upper and verdict == "contradicted":
        verdict = "undecided"
    return Sentence(text + ": {verdict}.", parts | {"verdict": verdict}), verdict


def _crossing_at(accuracy: pd.Series, target: float) -> float:
    """The p at which accuracy over p (index, ascending) first passes `target`; NaN when it does
    not."""
    p, a = accuracy.index.to_numpy(float), accuracy.to_numpy(float)
    above = np.flatnonzero(a >= target)
    if not len(above):
        return float("nan")
    i = int(above[0])
    if i == 0:
        return float(p[0])
    share = (target - a[i - 1]) / (a[i] - a[i - 1])
    return float(np.exp(np.log(p[i - 1]) + share * (np.log(p[i]) - np.log(p[i - 1]))))


def _beside_published(rows: pd.DataFrame) -> list[Sentence]:
    """Robust accuracy beside the published figures, at their sizes: interpolated in log p, never
    beyond the sizes trained."""
    mean = rows.groupby("p")["robust_linf"].mean().sort_index()
    p, said = mean.index.to_numpy(float), []
    for size in sorted({point.parameters for point in madry2018()}):
        if 0.99 * p[0] <= size <= 1.01 * p[-1]:
            ours = float(np.interp(np.log(size), np.log(p), mean.to_numpy(float)))
            said.append(
                _beside(
                    size, ours, rows, [point for point in madry2018() if point.parameters == size]
                )
            )
    return said


def _beside(size: int, ours: float, rows: pd.DataFrame, points: list[Published]) -> Sentence:
    """At one size: ours, each published figure, and the differences."""
    ids, key = tuple(rows["trial_id"]), f"C4:{rows['curve'].iloc[0]}:{size}"
    parts: dict[str, Any] = {
        "kind": rows["kind"].iloc[0],
        "n": Number(f"{key}:our n", int(rows["n"].iloc[0]), "column n", ids, "int"),
        "p": Number(f"{key}:published p", size, f"published: {points[0].source}", (), "int"),
        "ours": Number(
            f"{key}:ours",
            ours,
            "mean robust_linf over seeds, linear in log p between neighbouring sizes",
            ids,
            "percent",
        ),
    }
    text = "{kind}, n = {n}, p = {p}: robust accuracy {ours}. Madry et al.’s model of that size: "
    for i, point in enumerate(points):
        parts[f"v{i}"] = Number(
            f"{key}:{point.key}", point.accuracy, f"published: {point.source}", (), "percent"
        )
        parts[f"d{i}"] = Number(
            f"{key}:minus {point.key}",
            100 * (ours - point.accuracy),
            "ours less theirs",
            ids,
            "points",
        )
        parts[f"a{i}"] = point.attack
        text += (
            f"{', ' if i else ''}{'about ' if point.approximate else ''}{{v{i}}} under {{a{i}}}"
            f" (ours {{d{i}}} points)"
        )
    return Sentence(text + ".", parts)
