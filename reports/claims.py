"""Published statements checked against the rows: the claims table.

Each claim is one function from evidence to a `Claim`. Verdicts: *supported*, *contradicted*, *undecided* (rows exist
and decide nothing), *arithmetic only*, *not tested by this store*.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports.fit import Slope, fit_slope
from reports.law import LIPSCHITZ, STABILITY, KindCollapse, fit_collapses
from reports.numbers import Number, Sentence
from reports.tables import Evidence, fit_rows

NOT_TESTED = "not tested by this store"
ALL_DIGITS = 60_000


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
        "wrong and the smallest at which none did. Supported if that bracket of p/n lies within 1/3 to 3 at two values of n or more, "
        "contradicted if every label is fitted below 1/3 at every n. An onset above 3 decides nothing: a longer training might fit.",
    ),
    "C2": (
        "Fitting them smoothly takes p ≈ n·d: what counts is p/(n·d)",
        "Bubeck & Sellke 2021 (arXiv 2105.12806)",
        "Exponents of n and d over that of p in stability, below the noise. Supported if both intervals contain 1, are narrower than 1, "
        "exclude 0, and p/(n·d) predicts held-out combinations at least as well as p/n. Contradicted if an interval excludes 1 and the "
        "free exponents predict held-out combinations better than p/(n·d). The law itself is a one-sided bound and does not require "
        "the collapse.",
    ),
    "C3": ("Random points on a high-dimensional sphere are almost all a whole diameter apart", "popular accounts", ""),
    "C4": (
        "MNIST needs 1e5 parameters for 90 % and 1e6 for 95 %",
        "popular accounts; Bubeck & Sellke 2021 speak of robust accuracy, 2e5 and 3e6, after Madry et al. 2018",
        "Clean accuracy only, each number by itself. Contradicted if the accuracy is passed at fewer parameters; supported if the bracket "
        "contains the stated number and is narrower than a factor of 4; contradicted if all 60 000 digits were trained on and it is not "
        "passed up to the stated number. The row is contradicted if either number is.",
    ),
    "C5": ("A 688 K-parameter MNIST model reaches 99.2 % after 15 epochs at batch size 5", "popular accounts", ""),
    "C6": ("MNIST needs 1e7 to 1e9 parameters for 100 %", "popular accounts", ""),
    "C7": ("GPT-3 is under the law by about three orders of magnitude", "popular accounts", ""),
    "C8": (
        "Bigger is more robust",
        "popular accounts",
        "Sign and interval of the slope of each sensitivity measure against p; the measures of one kind depend on each other. "
        "Supported if every interval lies on the robust side of 0, contradicted if one lies wholly on the other, undecided otherwise.",
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
    findings, brackets = [], []
    for curve, rows in pure.groupby("curve", sort=False):
        fitted = (rows["train_error"].eq(0) & rows["complete"]).groupby(rows["p"]).all().sort_index()
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
            "cap": Number(f"{key}:cap", int(rows["epochs"].max()), "largest number of epochs", ids, "int"),
        }
        text = "{kind}, n = {n}, d = {d}: every label fitted at p = {first}, not at {below} in up to {cap} epochs, "
        text += "so p/n between {low} and {high}."
        findings.append(Sentence(text, parts))
        brackets.append((n, max(below) / n, first / n))
    if not findings:
        return NOT_TESTED, []
    near = {n for n, low, high in brackets if low >= 1 / 3 and high <= 3}
    if all(high < 1 / 3 for _, _, high in brackets):
        return "contradicted", findings
    return "supported" if len(near) >= 2 and near == {n for n, _, _ in brackets} else "undecided", findings


def _collapse(evidence: Evidence) -> Finding:
    """C2: do n and d act through p/(n·d)?"""
    collapses = fit_collapses(evidence.trials)
    findings = [_collapse_sentence(c) for c in collapses]
    judged = [c.collapse for c in collapses if not c.collapse.failure]
    if not findings:
        return NOT_TESTED, []
    against = [
        any(not low <= 1 <= high for _, low, high in (c.ratio_n, c.ratio_d) if np.isfinite(low)) and c.errors["free"] < c.errors["p/(n·d)"]
        for c in judged
    ]
    if any(against):
        return "contradicted", findings
    both = [c for c in judged if np.isfinite(c.ratio_d[1])]
    narrow = [
        all(low <= 1 <= high and high - low <= 1 and low > 0 for _, low, high in (c.ratio_n, c.ratio_d))
        and c.errors["p/(n·d)"] <= c.errors["p/n"]
        for c in both
    ]
    return "supported" if both and all(narrow) else "undecided", findings


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
    digits = t[t["task"].eq("mnist") & t["outputs"].eq(10) & t["epsilon"].eq(0) & t["complete"]]
    halves = [
        _crossing(str(curve), rows, target, stated)
        for curve, rows in digits.groupby("curve", sort=False)
        for target, stated in ((0.90, 1e5), (0.95, 1e6))
    ]
    if not halves:
        return NOT_TESTED, []
    verdicts = [verdict for _, verdict in halves]
    overall = "contradicted" if "contradicted" in verdicts else "supported" if set(verdicts) == {"supported"} else "undecided"
    return overall, [sentence for sentence, _ in halves]


def _crossing(curve: str, rows: pd.DataFrame, target: float, stated: float) -> tuple[Sentence, str]:
    """Where the mean accuracy over seeds first passes `target`, and what that says of needing `stated` parameters."""
    mean = rows.groupby("p")["test_accuracy"].mean().sort_index()
    p, accuracy = mean.index.to_numpy(float), mean.to_numpy(float)
    n, ids, key = int(rows["n"].iloc[0]), tuple(rows["trial_id"]), f"C4:{curve}:{target:g}"
    parts: dict[str, Any] = {
        "kind": rows["kind"].iloc[0],
        "n": Number(f"{key}:n", n, "column n", ids, "int"),
        "target": f"{target:.0%}".replace("%", " %"),
        "best": Number(f"{key}:best", float(accuracy.max()), "largest mean test_accuracy over seeds", ids, "percent"),
        "largest": Number(f"{key}:largest", float(p.max()), "largest p", ids, "int"),
    }
    above = np.flatnonzero(accuracy >= target)
    if not len(above):
        text = "{kind}, n = {n}: {target} not reached; best {best}, up to p = {largest}"
        verdict = "contradicted" if n >= ALL_DIGITS and p.max() >= stated else "undecided"
    elif above[0] == 0:
        parts["at"] = Number(f"{key}:at", float(p[0]), "smallest p of the grid", ids, "int")
        text = "{kind}, n = {n}: {target} already passed at the smallest size, p = {at}; best {best}"
        verdict = "contradicted" if p[0] < stated else "undecided"
    else:
        i = int(above[0])
        seeds = [_crossing_at(one.set_index("p")["test_accuracy"].sort_index(), target) for _, one in rows.groupby("seed")]
        passed = [at for at in seeds if np.isfinite(at)]
        how = f"linear in log p between neighbouring sizes of the mean test_accuracy over seeds, at {target:g}"
        parts |= {
            "at": Number(f"{key}:at", _crossing_at(mean, target), how, ids, "int"),
            "low": Number(f"{key}:low", float(p[i - 1]), "largest p before the crossing", ids, "int"),
            "high": Number(f"{key}:high", float(p[i]), "smallest p after the crossing", ids, "int"),
            "first": Number(f"{key}:first seed", min(passed), "smallest crossing of a single seed", ids, "int"),
            "last": Number(f"{key}:last seed", max(passed), "largest crossing of a single seed", ids, "int"),
            "passing": Number(f"{key}:seeds passing", len(passed), "seeds that cross", ids, "int"),
            "seeds": Number(f"{key}:seeds", len(seeds), "seeds", ids, "int"),
        }
        text = (
            "{kind}, n = {n}: {target} passed at p ≈ {at} (between {low} and {high}; {first} to {last} over the {passing} of {seeds} seeds "
            "that pass); best {best}"
        )
        narrow = p[i] / p[i - 1] <= 4
        verdict = "contradicted" if p[i] < stated else "supported" if p[i - 1] <= stated <= p[i] and narrow else "undecided"
    return Sentence(text + ": {verdict}.", parts | {"verdict": verdict}), verdict


def _crossing_at(accuracy: pd.Series, target: float) -> float:
    """The p at which accuracy over p (index, ascending) first passes `target`; NaN when it does not."""
    p, a = accuracy.index.to_numpy(float), accuracy.to_numpy(float)
    above = np.flatnonzero(a >= target)
    if not len(above):
        return float("nan")
    i = int(above[0])
    if i == 0:
        return float(p[0])
    share = (target - a[i - 1]) / (a[i] - a[i - 1])
    return float(np.exp(np.log(p[i - 1]) + share * (np.log(p[i]) - np.log(p[i - 1]))))


class Measure(NamedTuple):
    """A sensitivity measure: its column, the side of 0 that is robust, and its name."""

    column: str
    robust: int
    name: str
    scalar_only: bool = False


MEASURES = (
    Measure(STABILITY, +1, "stability, nearest label change found"),
    Measure("stability_first_order_mean", +1, "stability, first order"),
    Measure("flip_rate", -1, "labels flipped by input noise of 0.2 data units"),
    Measure(LIPSCHITZ, -1, "Lipschitz lower estimate", scalar_only=True),
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
    """The figures of a slope as numbers, by field name (slope as b)."""
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
        "smallest": number("smallest", slope.smallest, "signed"),
        "largest": number("largest", slope.largest, "signed"),
        "dropped": number("dropped", slope.dropped, "int"),
    }
