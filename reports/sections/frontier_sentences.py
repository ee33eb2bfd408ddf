"""Write the answer on one problem in sentences: verdict, exponents, rivals, where the law can bind,
plain training, depth, and the searches themselves."""

from typing import Any

import numpy as np

from reports.fits.common_slope import CommonSlope
from reports.fits.rivals import logarithm_of
from reports.frontier import PAST, SHARE
from reports.frontier_answer import (
    ATTAINED,
    BY_LAW,
    IN_DIMENSION,
    LOGARITHMIC,
    SLOWER,
    STEEPER,
    FrontierFit,
    Mean,
)
from reports.numbers import Number, Sentence
from reports.search_gap import ENOUGH
from reports.verdicts import ORDER

WITH_CONSTANT = (ATTAINED, IN_DIMENSION, SLOWER, STEEPER)


class _Parts:
    """The numbers of one problem, made under its key."""

    def __init__(self, fit: FrontierFit):
        self.fit = fit
        self.trials = tuple(t for of_row in fit.rows["trial_id"] for t in of_row)

    def number(
        self,
        name: str,
        value: float,
        how: str,
        style: str = "sig3",
        trials: tuple[str, ...] | None = None,
    ) -> Number:
        used = self.trials if trials is None else trials
        return Number(f"frontier:{self.fit.problem}:{name}", float(value), how, used, style)

    def slope(self, name: str, slope: CommonSlope, how: str) -> dict[str, Number]:
        """Return a slope and the ends of its interval: NAME, NAME_low, NAME_high."""
        ends = {"": slope.slope, " low": slope.low, " high": slope.high}
        return {
            f"{name}{end}".replace(" ", "_"): self.number(
                f"{name}{end}", value, f"{how}{end}", "signed", slope.trials
            )
            for end, value in ends.items()
        }

    def mean(self, name: str, mean: Mean, how: str) -> dict[str, Number]:
        """Return a mean over curves, the ends of its interval where it has one, and its smallest
        and largest cell."""
        values = {"": mean.value, " low": mean.low, " high": mean.high}
        values |= {" smallest": mean.smallest, " largest": mean.largest}
        return {
            f"{name}{end}".replace(" ", "_"): self.number(
                f"{name}{end}", value, f"{how}{end}", "sig3", mean.trials
            )
            for end, value in values.items()
            if np.isfinite(value)
        }


def sentences_of(fit: FrontierFit) -> list[Sentence]:
    """Return the sentences on one problem, the answer first."""
    parts = _Parts(fit)
    sentences = [
        answer_of(fit),
        _dimension(parts),
        _size(parts),
        _rivals(parts),
        _binding(parts),
        _plain(parts),
        _depth(parts),
        _searches(parts),
        _gap(parts),
    ]
    return [sentence for sentence in sentences if sentence.template]


def answer_of(fit: FrontierFit) -> Sentence:
    """Return the verdict on one problem with its constant and range."""
    parts = _Parts(fit)
    inside = fit.rows[fit.rows["window"] & fit.rows["bound"]]
    used = tuple(trial for of_row in inside["trial_id"] for trial in of_row)
    text = f"On {{problem}}: {fit.verdict}."
    values: dict[str, Any] = {"problem": fit.problem}
    if fit.verdict == LOGARITHMIC:
        forms = [form for form in fit.rivals.misses if form.startswith(logarithm_of(""))]
        values["form"] = min(forms, key=fit.rivals.factor)
        text += " The form {form} predicts left-out curves best, so no exponent is stated."
    if inside.empty:
        return Sentence(text, values)

    one_d = inside["d"].nunique() == 1
    for name, column, style in (("ratio", "per_sample", "sig3"), ("d", "d", "int")):
        for end in ("min",) if name == "d" and one_d else ("min", "max"):
            how = f"{end} of {column} in the window"
            values[f"{name}_{end}"] = parts.number(
                f"{name} {end}", inside[column].agg(end), how, style, used
            )
    range_of = "over p/n from {ratio_min} to {ratio_max} and d from {d_min} to {d_max}"
    if one_d:
        range_of = "over p/n from {ratio_min} to {ratio_max} in one dimension, d = {d_min}"
    if fit.constant and fit.verdict in WITH_CONSTANT:
        how = "geometric mean over curves of r*·√(n·d/p) in the window"
        values |= parts.mean("constant", fit.constant, how)
        interval = " ({constant_low} to {constant_high})" if "constant_low" in values else ""
        text += (
            f" The most robust fit found has a radius of {{constant}}{interval}·√(p/(n·d))"
            f" {range_of}; single cells {{constant_smallest}} to {{constant_largest}}."
        )
    else:
        text += f" The window (sizes from {PAST:g}× the onset on, radii up to {SHARE:g}·r∞) holds"
        text += f" {range_of.removeprefix('over ')}."
    return Sentence(text, values)


def _dimension(parts: _Parts) -> Sentence:
    """Return the exponent of d at fixed p/n: the law's order is −1/2, that of p/n 0."""
    values: dict[str, Any] = {}
    phrases = []
    how = "least squares of log r* against log d at fixed p/n where r_law < r∞"
    for k, slope in parts.fit.by_ratio.items():
        if slope.failure:
            continue
        values |= parts.slope(f"d{k}", slope, f"{how}, p/n = {k};")
        phrases.append(
            f"{{d{k}}} ({{d{k}_low}} to {{d{k}_high}}, {slope.places} dimensions) at p/n = {k}"
        )
    if not phrases:
        return Sentence(
            "No exponent of d: at none of p/n = 1, 2 and 4 are there three dimensions in which the"
            " law can bind and radii lie below half of r∞."
        )
    text = "Exponent of d, −1/2 by the law and 0 if p/n decides: " + "; ".join(phrases)
    pooled = parts.fit.dimension
    if len(phrases) > 1 and not pooled.failure:
        values |= parts.slope("d", pooled, f"{how}, all p/n;")
        text += "; together {d} ({d_low} to {d_high})"
    return Sentence(f"{text}.", values)


def _size(parts: _Parts) -> Sentence:
    """Return the exponent of p, or why none is stated."""
    fit = parts.fit
    window = f"p from {PAST:g}× the onset on, r* up to {SHARE:g}·r∞"
    values: dict[str, Any] = {}
    if fit.bends:
        how = "half the change of the local slope over a decade, parabola through log r*"
        for end, value in (("least", min(fit.bends.values())), ("most", max(fit.bends.values()))):
            values[f"bend_{end}"] = parts.number(f"bend {end}", value, f"{how}; {end} of a curve")
    if fit.size.failure:
        text = f"No exponent of p ({window}): {fit.size.failure}"
        text += "; it moves by ±{bend_least} or more." if fit.bends else "."
        return Sentence(text, values)
    values |= parts.slope("p", fit.size, f"least squares of log r* against log p, {window};")
    return Sentence(
        f"Exponent of p ({window}): {{p}} ({{p_low}} to {{p_high}}); the local slope moves by"
        " ±{bend_least} a decade on the steadiest curve, ±{bend_most} on the least steady, and"
        " curves above ±0.1 do not count.",
        values,
    )


def _rivals(parts: _Parts) -> Sentence:
    """Return the typical factor by which each form misses left-out curves, and its difference from
    p/(n·d)."""
    rivals = parts.fit.rivals
    if rivals.failure:
        return Sentence(f"Variables are not compared: {rivals.failure}.")
    values: dict[str, Any] = {}
    phrases = []
    how = "curves of the window left out in turn;"
    for i, form in enumerate(rivals.misses):
        values[f"form{i}"] = form
        values[f"miss{i}"] = parts.number(
            f"miss {form}", rivals.factor(form), f"exp(RMS log error) of {form}, {how}", "factor"
        )
        phrase = f"{{form{i}}} by {{miss{i}}}"
        if form != BY_LAW:
            ends = zip(("", " low", " high"), rivals.gain(BY_LAW, form), strict=True)
            for end, value in ends:
                values[f"gain{i}{end}".replace(" ", "_")] = parts.number(
                    f"gain {form}{end}",
                    value,
                    f"RMS log error of {form} less that of p/(n·d), {how}",
                )
            phrase += f" (+{{gain{i}}}, {{gain{i}_low}} to {{gain{i}_high}})"
        phrases.append(phrase)
    return Sentence(
        "Typical prediction error on held-out curves, as a factor (in brackets: RMS log error less"
        " that of p/(n·d), mean over curves with 95 % interval): a power of "
        + "; ".join(phrases)
        + ".",
        values,
    )


def _binding(parts: _Parts) -> Sentence:
    """Say where the law could bind at all."""
    fit = parts.fit
    if not fit.law_known:
        return Sentence(
            "r_law is known for pure ±1 noise alone, so where the law can bind is not known for all"
            " cells here."
        )
    values = {
        "binding": parts.number("binding", fit.binding, "cells with radius_law below r∞", "int"),
        "cells": parts.number("cells", fit.cells, "cells searched", "int"),
    }
    text = (
        "Assuming each parameter stores one nat (1.44 bits), the law could bind (r_law below r∞) in"
        " {binding} of {cells} cells"
    )
    if not fit.binding:
        text += ": nowhere, so an absent effect of d says nothing against p/(n·d)"
    return Sentence(f"{text}.", values)


def _plain(parts: _Parts) -> Sentence:
    """Say how far plain training is from the most robust fit found."""
    mean = parts.fit.plain
    if mean is None:
        return Sentence(
            "No plainly trained model of these cells was trained on past R*/2, so how far plain"
            " training is from the frontier is not known here."
        )
    how = "geometric mean over curves of training_radius of plain training over r*"
    values = parts.mean("plain", mean, how)
    interval = " ({plain_low} to {plain_high})" if "plain_low" in values else ""
    return Sentence(
        f"Plain training reaches {{plain}}{interval} of the radius of the best fit found; single"
        " cells {plain_smallest} to {plain_largest}.",
        values,
    )


def _depth(parts: _Parts) -> Sentence:
    """Say whether parameters or neurons count, from nets of equal p and unequal depth."""
    fit = parts.fit.depth
    if fit is None:
        return Sentence("")
    if fit.failure:
        return Sentence(f"Parameters and neurons are not told apart by depth: {fit.failure}.")
    values = parts.slope(
        "depth", fit, "log ratio of r* against log ratio of neurons, nets of equal p on equal data;"
    )
    reading = _parameters_or_neurons(fit)
    return Sentence(
        "Between deeper and two-layer nets of equal p the radius goes with the number of neurons to"
        " the power {depth} ({depth_low} to {depth_high}): 0 where parameters count, 1/2 where"
        f" neurons do, {reading}.",
        values,
    )


def _parameters_or_neurons(fit: CommonSlope) -> str:
    holds_none = fit.low <= 0 <= fit.high
    holds_order = fit.low <= ORDER <= fit.high
    if holds_none and not holds_order:
        return "so parameters count"
    if holds_order and not holds_none:
        return "so neurons count"
    return "which does not tell the two apart" if holds_order else "which is neither"


def _searches(parts: _Parts) -> Sentence:
    """Compare the two ways of searching where both were tried, and count what the search missed."""
    rows = parts.fit.rows
    both = rows[rows["adversary"].gt(0) & rows["penalty"].gt(0)]
    values: dict[str, Any] = {
        "trainings": parts.number(
            "trainings", rows["trainings"].sum(), "sum of frontier_trainings", "int"
        ),
        "all": parts.number("all", len(rows), "cells and data seeds searched", "int"),
    }
    text = "Searches, one for each size and data seed: {all}, in {trainings} trainings. "

    missed = int((rows["radius"] == 0).sum())
    if missed:
        how = "cells and data seeds without a radius"
        values["missed"] = parts.number("missed", missed, how, "int")
    text += "Without a fit at any radius: {missed}." if missed else "All found a fit."

    trapped = int(rows["trap"].sum())
    if trapped:
        how = "searches that end with frontier_trap"
        values["trapped"] = parts.number("trapped", trapped, how, "int")
        text += (
            " In {trapped} the training that missed the next radius gave one answer for all points,"
            " a trap and no proof that the radius cannot be fitted."
        )
    if len(both):
        ratio = float(np.exp(np.log(both["penalty"] / both["adversary"]).mean()))
        values["both"] = parts.number("both", len(both), "searched in both ways", "int")
        values["ways"] = parts.number(
            "ways", ratio, "geometric mean of the penalty's radius over the adversary's"
        )
        text += (
            " A penalty instead of an adversary, tried on {both} of them, reaches {ways} of its"
            " radius."
        )
    return Sentence(text, values)


def _gap(parts: _Parts) -> Sentence:
    """Say what share of a planted radius the search finds, and what this adds to the intervals."""
    gap = parts.fit.gap
    if gap is None:
        return Sentence(
            "What the search misses of the most robust fit is not measured on such data, and no"
            " interval holds it."
        )
    how = "reports/search_gap.csv:"
    values: dict[str, Any] = {
        "searches": parts.number("gap searches", gap.searches, f"{how} searches", "int", ()),
        "share": parts.number("gap share", gap.share, f"{how} geometric mean of share", "sig3", ()),
        "least": parts.number("gap least", gap.least, f"{how} least share", "sig3", ()),
        "below": parts.number("gap below", gap.below, f"{how} shares under {ENOUGH}", "int", ()),
    }
    for name, slope in (("d", gap.of_d), ("p", gap.of_p)):
        for end, value in (("", slope.slope), (" low", slope.low), (" high", slope.high)):
            values[f"gap_{name}{end}".replace(" ", "_")] = parts.number(
                f"gap {name}{end}",
                value,
                f"{how} least squares of log share on log d and log(p/n); {name}{end}",
                "signed",
                (),
            )
    return Sentence(
        "Where a fit of known radius was planted on the sphere, {searches} searches found {share}"
        " of that radius on average (ratios above 1 counted as 1), {least} at worst, and less than"
        f" {ENOUGH} in {{below}}. "
        "This share goes with d to the power {gap_d} ({gap_d_low} to {gap_d_high}) and with p/n to"
        " {gap_p} ({gap_p_low} to {gap_p_high}). The intervals of the exponents above are widened"
        " by that.",
        values,
    )
