"""Say in plain words what the most robust fits found say about the law, one sentence a verdict.

print(best_fit_sentence(fit_frontier(radii(evidence))[0]))
"""

from typing import Any

import numpy as np

from reports.frontier_answer import (
    ATTAINED,
    FLAT,
    IN_DIMENSION,
    LOGARITHMIC,
    NO_FALL,
    SAMPLES,
    SLOWER,
    STEEPER,
    FrontierFit,
)
from reports.numbers import Number, Sentence
from reports.verdicts import CANNOT_TELL

WORDS = {
    ATTAINED: "The best fit found follows the law's order",
    IN_DIMENSION: (
        "The best fit found shrinks with d as the law says; how it grows with p is not decided"
    ),
    SLOWER: "The best fit found shrinks with d as the law says, and grows more slowly with p",
    STEEPER: "The best fit found shrinks with d as the law says, and grows faster with p",
    SAMPLES: (
        "The best fit found grows like √(p/n) and does not shrink with d, so p/n decides and not"
        " the law's p/(n·d)"
    ),
    NO_FALL: (
        "The best fit found does not shrink with d as the law's order does; how it grows with p is"
        " not decided"
    ),
    FLAT: "The best fit found does not depend on size",
    LOGARITHMIC: "The best fit found grows like a logarithm of size, so by no power law",
}
"""Verdict on the frontier → its words on the first screen."""
SHORTLY = {
    ATTAINED: (
        "Yes, the most robust fits found do: on {problems}, their training radius grows like the"
        " square root of p/(n·d), as the law's ceiling does."
    ),
    IN_DIMENSION: (
        "In part, for the most robust fits found: on {problems}, their training radius shrinks with"
        " d as the law's ceiling does; how it grows with p is not decided."
    ),
    SLOWER: (
        "No, not the most robust fits found: on {problems}, their training radius grows more slowly"
        " with p than the law's ceiling."
    ),
    STEEPER: (
        "Faster, for now: on {problems}, the training radius of the most robust fits found grows"
        " faster with p than the law's ceiling."
    ),
    SAMPLES: (
        "Not as the law says: on {problems}, the training radius of the most robust fits found"
        " grows like √(p/n) and does not shrink with d."
    ),
    NO_FALL: (
        "Not as the law says: on {problems}, the training radius of the most robust fits found does"
        " not shrink with d as the law's ceiling does."
    ),
    FLAT: (
        "No, not the most robust fits found: on {problems}, their training radius does not depend"
        " on size."
    ),
    LOGARITHMIC: (
        "No, not the most robust fits found: on {problems}, their training radius grows like a"
        " logarithm of size, so by no power law."
    ),
}
"""Verdict on the frontier → its part of the headline."""
MEASURE = (
    "This radius is how far every training point may be moved with the fit still below half the"
    " noise error; it is not the stability S of held-out inputs."
)
"""What a training radius is, for readers who have met stability alone."""
PLAIN_SHARE = "geometric mean of plain training's radius over r*"
"""How the share of the best fit's radius that plain training reaches is computed."""


def best_fit_sentence(fit: FrontierFit) -> Sentence:
    """Return the answer on one problem: verdict, constant, range, and how far plain training is.
    Without a verdict what is known stands first."""
    if fit.verdict not in WORDS:
        return _undecided(fit)

    values: dict[str, Any] = {}
    text = WORDS[fit.verdict]
    if fit.constant and fit.verdict == ATTAINED:
        values |= _mean(fit, "constant", "geometric mean over curves of r*·√(n·d/p) in the window")
        text += ": {constant}" + _interval(values, "constant") + "·√(p/(n·d))"
    inside = fit.rows[fit.rows["window"] & fit.rows["bound"]]
    if len(inside):
        used = tuple(trial for of_row in inside["trial_id"] for trial in of_row)
        for name, column in (("ratio", "per_sample"), ("d", "d")):
            for end in ("min", "max"):
                key = f"answer:{fit.problem}:{name} {end}"
                how = f"{end} of {column} in the window"
                value = float(inside[column].agg(end))
                values[f"{name}_{end}"] = Number(key, value, how, used, "sig3")
        text += ", over p = {ratio_min}·n to {ratio_max}·n and d = {d_min} to {d_max}"
    text += "."

    if fit.plain is not None:
        values |= _mean(fit, "plain", PLAIN_SHARE)
        text += (
            " Plain training reaches {plain}"
            + _interval(values, "plain")
            + " of its training radius."
        )
    text += f" {MEASURE}"
    return Sentence(text, values)


def _undecided(fit: FrontierFit) -> Sentence:
    """Return what a search found beside plain training, and why there is no verdict."""
    rows, searched = fit.rows, "searched"
    if fit.plain is not None:
        rows = rows[rows["radius"].gt(0) & rows["plain"].gt(0)]
        searched = "with both radii"
    used = tuple(trial for of_row in rows["trial_id"] for trial in of_row)

    def number(name: str, value: float, how: str, style: str = "sig3") -> Number:
        trials = fit.plain.trials if fit.plain is not None and name.startswith("times") else used
        return Number(f"answer:{fit.problem}:{name}", float(value), how, trials, style)

    values: dict[str, Any] = {}
    text = "A search for the most robust fit of each size"
    sizes = "{p_min} to {p_max} parameters"
    if fit.plain is None:
        text += f" ({sizes}) was not compared with plain training."
    else:
        plain = fit.plain
        how = "r* over plain training's radius"
        mean = f"geometric mean over curves of {how}"
        values |= {
            "times": number("times", 1 / plain.value, mean),
            "times_min": number("times min", 1 / plain.largest, f"smallest of a cell, {how}"),
            "times_max": number("times max", 1 / plain.smallest, f"largest of a cell, {how}"),
        }
        for end, value in (("low", plain.high), ("high", plain.low)):
            if np.isfinite(value):
                ends = f"{mean}, {end} end of its 95 % interval"
                values[f"times_{end}"] = number(f"times {end}", 1 / value, ends)
        text += (
            f" found {{times}} times{_interval(values, 'times')} the training radius of plain"
            f" training (single sizes {{times_min}} to {{times_max}}; {sizes}). {MEASURE}"
        )
    values |= {
        "p_min": number("p min", rows["p"].min(), f"smallest p {searched}", "size"),
        "p_max": number("p max", rows["p"].max(), f"largest p {searched}", "size"),
    }

    dimensions = sorted(set(fit.rows["d"]))
    if len(dimensions) == 1:
        values["d"] = number("d", dimensions[0], "column d_ambient", "int")
        text += " How it depends on dimension is not known: all had inputs of {d} numbers."
    else:
        values["reason"] = fit.verdict.removeprefix(f"{CANNOT_TELL}: ")
        text += " Whether they follow the law's order cannot be told: {reason}."
        if not fit.dimension.failure:
            values |= _exponent_of_d(fit)
            text += " At fixed p/n their radius goes like d^{d} ({d_low} to {d_high})."
    return Sentence(text, values)


def _exponent_of_d(fit: FrontierFit) -> dict[str, Number]:
    """Return the exponent of d at fixed p/n and the ends of its interval."""
    found = fit.dimension
    gap = ", widened by the slope of the search gap" if fit.gap is not None else ""
    how = "exponent of d at p/n = 1, 2 and 4"
    interval = f"end of its 95 % interval{gap}"
    ends = {
        "d": (found.slope, how),
        "d_low": (found.low, f"{how}, low {interval}"),
        "d_high": (found.high, f"{how}, high {interval}"),
    }
    return {
        key: Number(
            f"answer:{fit.problem}:exponent {key.replace('_', ' ')}",
            value,
            told,
            found.trials,
            "signed",
        )
        for key, (value, told) in ends.items()
    }


def plain_share(fit: FrontierFit) -> Number:
    """Return the share of the best fit's radius that plain training reaches."""
    return _mean(fit, "plain", PLAIN_SHARE)["plain"]


def _mean(fit: FrontierFit, name: str, how: str) -> dict[str, Number]:
    """Return a mean over curves of the fit and, where it has one, its interval."""
    mean = getattr(fit, name)
    ends = {name: mean.value, f"{name}_low": mean.low, f"{name}_high": mean.high}
    share = name == "plain"
    return {
        key: Number(
            f"answer:{fit.problem}:{key.replace('_', ' ')}",
            value,
            how if key == name else f"{how}, {key.partition('_')[2]} end of its 95 % interval",
            mean.trials,
            ("growth" if key == name else "growth end") if share else "sig3",
        )
        for key, value in ends.items()
        if np.isfinite(value)
    }


def _interval(values: dict[str, Any], name: str) -> str:
    """Return the template of an interval in brackets; empty where it has no ends."""
    return f" ({{{name}_low}}–{{{name}_high}})" if f"{name}_low" in values else ""
