"""Published statements checked against the rows: the claims table.

Each claim is one function from evidence to a `Claim`. Verdicts: *supported*, *contradicted*, *undecided* (rows exist
and decide nothing), *arithmetic only*, *not tested by this store*.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.fit import Slope, fit_slope
from reports.law import KindCollapse, fit_collapses
from reports.numbers import Number, Sentence
from reports.tables import Evidence, fit_rows

NOT_TESTED = "not tested by this store"


class Claim(NamedTuple):
    """`rule` says beforehand what would support and what would contradict it."""

    key: str
    statement: str
    source: str
    rule: str
    verdict: str
    findings: list[Sentence]


def check_claims(evidence: Evidence) -> list[Claim]:
    """All claims, C1 to C11, in order."""
    tested = {"C1": _parameters_to_fit, "C2": _collapse, "C4": _mnist_accuracy, "C8": _bigger_is_more_robust}
    claims = []
    for key, (statement, source, rule) in STATEMENTS.items():
        verdict, findings = tested[key](evidence) if key in tested else (NOT_TESTED, [])
        claims.append(Claim(key, statement, source, rule, verdict, findings))
    return claims


STATEMENTS = {
    "C1": (
        "n parameters fit n points",
        "classical",
        "Pure-noise labels, trained to interpolation: the onset lies between the largest size at which some training label stayed "
        "wrong and the smallest at which none did. Supported if that bracket of p/n overlaps 1/3 to 3 at every n, contradicted if "
        "it lies outside at every n.",
    ),
    "C2": (
        "Fitting them smoothly takes p ≈ n·d: what counts is p/(n·d)",
        "Bubeck & Sellke 2021 (arXiv 2105.12806)",
        "Exponents of n and d over that of p in stability, below the noise. Supported if both intervals contain 1, contradicted if "
        "either excludes it. The law itself is a one-sided bound and does not require the collapse.",
    ),
    "C3": ("Random points on a high-dimensional sphere are almost all a whole diameter apart", "popular accounts", ""),
    "C4": (
        "MNIST needs 1e5 parameters for 90 % and 1e6 for 95 %",
        "popular accounts; Bubeck & Sellke 2021 speak of robust accuracy, 2e5 and 3e6, after Madry et al. 2018",
        "Clean accuracy only. Contradicted if the accuracy is passed at fewer parameters; supported if the bracket contains the "
        "stated number. Not passing it decides nothing unless all 60 000 digits were trained on.",
    ),
    "C5": ("A 688 K-parameter MNIST model reaches 99.2 % after 15 epochs at batch size 5", "popular accounts", ""),
    "C6": ("MNIST needs 1e7 to 1e9 parameters for 100 %", "popular accounts", ""),
    "C7": ("GPT-3 is under the law by about three orders of magnitude", "popular accounts", ""),
    "C8": (
        "Bigger is more robust",
        "popular accounts",
        "Sign and interval of the slope of each sensitivity measure against p. Supported if every interval lies on the robust side "
        "of 0, contradicted if one lies wholly on the other, undecided otherwise.",
    ),
    "C9": ("GPT-3's accuracy grows from 1.3B to 13B to 175B parameters", "Brown et al. 2020", ""),
    "C10": ("Robustness goes with generalisation", "popular accounts", ""),
    "C11": ("Small changes turn one label into another", "popular accounts", ""),
}

Finding = tuple[str, list[Sentence]]


def _parameters_to_fit(evidence: Evidence) -> Finding:
    """C1: the onset of fitting every pure-noise label, against n."""
    t = evidence.trials
    pure = t[t["stop_rule"].eq("interpolate") & t["sigma2"].eq(1.0)]
    findings, overlaps, outside = [], [], []
    for curve, rows in pure.groupby("curve", sort=False):
        fitted = rows.groupby("p")["train_error"].agg(lambda e: bool((e == 0).all())).sort_index()
        if not fitted.any():
            continue
        n = int(rows["n"].iloc[0])
        first = int(fitted.index[fitted][0])
        below = [int(p) for p in fitted.index if p < first]
        if not below:
            continue
        key, ids = f"C1:{curve}", tuple(rows["trial_id"])
        how = "train_error over all seeds at each p, this curve"
        parts = {
            "kind": rows["kind"].iloc[0],
            "n": Number(f"{key}:n", n, "column n", ids, "int"),
            "d": Number(f"{key}:d", int(rows["d_ambient"].iloc[0]), "column d_ambient", ids, "int"),
            "first": Number(f"{key}:first", first, f"smallest p with train_error = 0; {how}", ids, "int"),
            "below": Number(f"{key}:below", max(below), f"largest p before it with train_error > 0; {how}", ids, "int"),
            "low": Number(f"{key}:low", max(below) / n, "that p over n", ids),
            "high": Number(f"{key}:high", first / n, "that p over n", ids),
        }
        findings.append(
            Sentence("{kind}, n = {n}, d = {d}: every label fitted at p = {first}, not at {below}, so p/n between {low} and {high}.", parts)
        )
        overlaps.append(max(below) / n <= 3 and first / n >= 1 / 3)
        outside.append(not overlaps[-1])
    if not findings:
        return NOT_TESTED, []
    return "supported" if all(overlaps) else "contradicted" if all(outside) else "undecided", findings


def _collapse(evidence: Evidence) -> Finding:
    """C2: do n and d act through p/(n·d)?"""
    collapses = fit_collapses(evidence.trials)
    findings = [_collapse_sentence(c) for c in collapses]
    judged = [c.collapse for c in collapses if not c.collapse.failure]
    if not findings:
        return NOT_TESTED, []
    intervals = [r for c in judged for r in (c.ratio_n, c.ratio_d) if np.isfinite(r[0])]
    if any(not low <= 1 <= high for _, low, high in intervals):
        return "contradicted", findings
    return "supported" if any(np.isfinite(c.ratio_d[0]) for c in judged) else "undecided", findings


def collapse_numbers(found: KindCollapse) -> dict[str, Number]:
    """Exponents, ratios with their ends, and held-out errors of one collapse test; what was not found is left out."""
    c = found.collapse
    how = "least squares on log stability_attack_mean against log p, log n, log d over cells past the onset and below the noise"
    values = {"b": c.b, "b_n": c.b_n, "b_d": c.b_d, "cells": c.cells, "curves": c.curves}
    for name, ratio in (("b_n/b", c.ratio_n), ("b_d/b", c.ratio_d)):
        values |= {name: ratio[0], f"{name} low": ratio[1], f"{name} high": ratio[2]}
    values |= {f"error {form}": error for form, error in c.errors.items()}
    styles = {"b": "signed", "b_n": "signed", "b_d": "signed", "cells": "int", "curves": "int"}
    key = f"collapse:{found.kind}:{found.settings}"
    return {
        name: Number(f"{key}:{name}", value, f"{name}; {how}", c.trials, styles.get(name, "sig3"))
        for name, value in values.items()
        if np.isfinite(value)
    }


def _collapse_sentence(found: KindCollapse) -> Sentence:
    """The ratios of one collapse test in a line, or why there are none."""
    numbers = collapse_numbers(found)
    text, parts = "", {}
    for i, name in enumerate(name for name in ("b_n/b", "b_d/b") if f"{name} low" in numbers):
        text += f"{', ' if i else ''}{name} = {{v{i}}} ({{l{i}}} to {{h{i}}})"
        parts |= {f"v{i}": numbers[name], f"l{i}": numbers[f"{name} low"], f"h{i}": numbers[f"{name} high"]}
    if found.collapse.failure:
        text += "; {why}" if text else "{why}"
    return Sentence("{kind}: " + text + ".", {"kind": found.kind, "why": found.collapse.failure, **parts})


def _mnist_accuracy(evidence: Evidence) -> Finding:
    """C4: the size at which clean accuracy passes 90 and 95 %, between neighbouring sizes of the grid."""
    t = evidence.trials
    digits = t[t["task"].eq("mnist") & t["outputs"].eq(10) & t["epsilon"].eq(0)]
    findings, verdicts = [], []
    for curve, rows in digits.groupby("curve", sort=False):
        for target, stated in ((0.90, 1e5), (0.95, 1e6)):
            sentence, verdict = _crossing(str(curve), rows, target, stated)
            findings.append(sentence)
            verdicts.append(verdict)
    if not findings:
        return NOT_TESTED, []
    decided = [v for v in verdicts if v != "undecided"]
    return ("contradicted" if "contradicted" in decided else "supported") if decided else "undecided", findings


def _crossing(curve: str, rows: pd.DataFrame, target: float, stated: float) -> tuple[Sentence, str]:
    mean = rows.groupby("p")["test_accuracy"].mean().sort_index()
    p, accuracy = mean.index.to_numpy(float), mean.to_numpy(float)
    n, ids, key = int(rows["n"].iloc[0]), tuple(rows["trial_id"]), f"C4:{curve}:{target:g}"
    base = {
        "kind": rows["kind"].iloc[0],
        "n": Number(f"{key}:n", n, "column n", ids, "int"),
        "target": f"{target:.0%}".replace("%", " %"),
        "best": Number(f"{key}:best", float(accuracy.max()), "largest mean test_accuracy over seeds", ids, "percent"),
        "largest": Number(f"{key}:largest", float(p.max()), "largest p", ids, "int"),
    }
    above = np.flatnonzero(accuracy >= target)
    if not len(above):
        return Sentence("{kind}, n = {n}: {target} not reached; best {best}, up to p = {largest}.", base), "undecided"
    i = int(above[0])
    how = f"linear in log p between neighbouring sizes of the mean test_accuracy over seeds, at {target:g}"
    if i == 0:
        base["at"] = Number(f"{key}:at", float(p[0]), "smallest p of the grid", ids, "int")
        sentence = Sentence("{kind}, n = {n}: {target} already passed at the smallest size, p = {at}; best {best}.", base)
        return sentence, "contradicted" if p[0] < stated else "undecided"
    share = (target - accuracy[i - 1]) / (accuracy[i] - accuracy[i - 1])
    at = float(np.exp(np.log(p[i - 1]) + share * (np.log(p[i]) - np.log(p[i - 1]))))
    base |= {
        "at": Number(f"{key}:at", at, how, ids, "int"),
        "low": Number(f"{key}:low", float(p[i - 1]), "largest p before the crossing", ids, "int"),
        "high": Number(f"{key}:high", float(p[i]), "smallest p after the crossing", ids, "int"),
    }
    sentence = Sentence("{kind}, n = {n}: {target} passed at p ≈ {at} (between {low} and {high}); best {best}.", base)
    return sentence, "contradicted" if p[i] < stated else "supported" if p[i - 1] <= stated <= p[i] else "undecided"


class Measure(NamedTuple):
    """A sensitivity measure: its column, the side of 0 that is robust, and its name."""

    column: str
    robust: int
    name: str
    scalar_only: bool = False


MEASURES = (
    Measure("stability_attack_mean", +1, "stability, nearest label change found"),
    Measure("stability_first_order_mean", +1, "stability, first order"),
    Measure("flip_rate", -1, "labels flipped by input noise of 0.2 data units"),
    Measure("lip_lower_grad", -1, "Lipschitz lower estimate", scalar_only=True),
    Measure("lip_mean_grad", -1, "mean gradient norm (no law holds for it)", scalar_only=True),
)
FLIP_RADIUS = 0.2


def with_flip_rate(trials: pd.DataFrame) -> pd.DataFrame:
    """Adds flip_rate: noise_flip_rate at the radius FLIP_RADIUS."""
    rates = [
        dict(zip(radii, flips, strict=True)).get(FLIP_RADIUS, np.nan)
        for radii, flips in zip(trials["noise_radii"], trials["noise_flip_rate"], strict=True)
    ]
    return trials.assign(flip_rate=pd.Series(rates, index=trials.index, dtype=float))


def measure_slopes(trials: pd.DataFrame) -> list[tuple[str, Measure, Slope]]:
    """The slope of every sensitivity measure against p, by kind."""
    slopes = []
    for kind in sorted(trials["kind"].unique()):
        rows = fit_rows(with_flip_rate(trials), kind)
        scalar = bool((rows["outputs"] == 1).all())
        slopes += [(kind, m, fit_slope(rows, m.column)) for m in MEASURES if scalar or not m.scalar_only]
    return slopes


def _bigger_is_more_robust(evidence: Evidence) -> Finding:
    """C8: the sign of each sensitivity slope."""
    findings, signs = [], []
    for kind, measure, slope in measure_slopes(evidence.trials):
        if slope.failure:
            continue
        sign = measure.robust * (1 if slope.low > 0 else -1 if slope.high < 0 else 0)
        signs.append(sign)
        word = {1: "more robust with size", -1: "less robust with size", 0: "no sign"}[sign]
        parts = {"kind": kind, "name": measure.name, "word": word, **slope_numbers(f"C8:{kind}:{measure.column}", slope, measure.column)}
        findings.append(Sentence("{kind}: {name}, slope {b} ({low} to {high}), {cells} cells: {word}.", parts))
    if not findings:
        return NOT_TESTED, []
    ids = tuple(evidence.trials["trial_id"])
    counts = {1: "robust", -1: "fragile", 0: "open"}
    parts = {word: Number(f"C8:{word}", signs.count(s), "number of the slopes below", ids, "int") for s, word in counts.items()}
    summary = "Of the slopes below {robust} lie on the robust side of 0, {fragile} on the other, and {open} intervals contain 0."
    findings.insert(0, Sentence(summary, parts))
    return "contradicted" if -1 in signs else "supported" if all(s == 1 for s in signs) else "undecided", findings


def slope_numbers(key: str, slope: Slope, column: str) -> dict[str, Number]:
    """b, low, high, cells, curves and held_out of a slope as numbers."""
    how = f"least squares on log {column} against log p with one intercept per curve, cells past the onset"

    def number(name: str, value: float, style: str) -> Number:
        return Number(f"{key}:{name}", value, f"{name}; {how}", slope.trials, style)

    return {
        "b": number("slope", slope.slope, "signed"),
        "low": number("low", slope.low, "signed"),
        "high": number("high", slope.high, "signed"),
        "cells": number("cells", slope.cells, "int"),
        "curves": number("curves", slope.curves, "int"),
        "held_out": number("held-out", slope.held_out, "sig3"),
    }
