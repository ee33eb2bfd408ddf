"""Say how sure the answer is: what its intervals rest on, and how far it moves with the sizes that
enter.

    [str(sentence) for sentence in how_sure(evidence, fits)]
"""

from typing import Any

from reports.answer import labels_of
from reports.evidence import Evidence
from reports.fit_numbers import slope_numbers
from reports.fits.slope import Slope
from reports.law import Fits, KindFit
from reports.measures import STABILITY
from reports.numbers import Number, Sentence
from reports.sections.counts import count_trials

CERTIFIED = "stability_certified_mean"
MOST_NAMED = 4
"""Kinds that a sentence names."""


def how_sure(evidence: Evidence, fits: Fits) -> list[Sentence]:
    """Return the sentences, one fact each."""
    judged = [fit for fit in fits.kinds if fit.judged]
    if not judged:
        none = Sentence("No slope of plain training is judged by the law here.")
        return [_searched(fits), none] if fits.frontier else [none]
    sentences = [
        _counts(evidence, fits, judged),
        _borrowed(judged),
        _by_sizes(judged),
        _certified(fits, judged),
    ]
    return [sentence for sentence in sentences if sentence.template]


def _counts(evidence: Evidence, fits: Fits, judged: list[KindFit]) -> Sentence:
    """Return what enters, and what is shown without a verdict."""
    counts = count_trials(evidence)
    used = tuple(trial for fit in judged for trial in fit.stability.trials)
    curves = sum(fit.stability.curves for fit in judged)
    parts: dict[str, Any] = {
        "trials": _number("trials", len(used), "trials that enter the stability fits", used),
        "curves": _number("curves", curves, "curves", used),
        "plain": counts["plain"],
    }
    text = (
        "Brackets are 95 % intervals, from {trials} of {plain} plainly trained models on {curves}"
        " curves (a curve's models differ in size alone)."
    )
    silent = sum(not fit.judged for fit in fits.kinds)
    if silent:
        parts["silent"] = _number("silent", silent, "kinds without a verdict", ())
        text += (
            " One further kind, shown below, gets no verdict."
            if silent == 1
            else " {silent} further kinds, shown below, get no verdict."
        )
    return Sentence(text, parts)


def _searched(fits: Fits) -> Sentence:
    """Return what the intervals of the best fits found rest on."""
    rows = [fit.rows for fit in fits.frontier]
    used = tuple(trial for own in rows for of_row in own["trial_id"] for trial in of_row)
    curves = sum(own["curve"].nunique() for own in rows)
    how = "curves (one n, d and depth) that were searched"
    number = Number("answer:sure:searched", curves, how, used, "int")
    return Sentence(
        "Brackets are 95 % intervals over the curves searched, {curves} in all (a curve's models"
        " differ in size alone).",
        {"curves": number},
    )


def _borrowed(judged: list[KindFit]) -> Sentence:
    """Name the kinds whose interval takes the spread between curves from all kinds."""
    pooled = [fit for fit in judged if fit.stability.pooled]
    if not pooled:
        return Sentence("")
    used = tuple(trial for fit in pooled for trial in fit.stability.trials)
    of_all = tuple(trial for fit in judged for trial in fit.stability.trials)
    labels = labels_of(judged)
    parts: dict[str, Any] = {
        "pooled": _number("pooled", len(pooled), "kinds with `pooled`", used),
        "kinds": _number("kinds", len(judged), "judged kinds", of_all),
    }
    named = ""
    if len(pooled) <= MOST_NAMED:
        parts["names"] = "; ".join(labels[fit.kind].label for fit in pooled)
        named = " ({names})"
    verbs = (
        "is rough: it rests on one or two curves{} and on the spread of all kinds."
        if len(pooled) == 1
        else "are rough: they rest on one or two curves{} and on the spread of all kinds."
    )
    return Sentence(f"Of the {{kinds}} intervals, {{pooled}} {verbs.format(named)}", parts)


def _by_sizes(judged: list[KindFit]) -> Sentence:
    """Say what leaving out the smallest sizes does to the verdicts and to the growth."""
    used = tuple(trial for fit in judged for trial in fit.stability.trials)
    flips = sum(bool(fit.verdicts[STABILITY].flips) for fit in judged)
    parts: dict[str, Any] = {
        "flips": _number("flips", flips, "kinds whose verdict hangs on the filter", used),
        "kinds": _number("kinds", len(judged), "judged kinds", used),
    }
    text = (
        "Leaving out the smallest sizes changes the verdict of {flips} of {kinds} kinds"
        if flips
        else "Leaving out the smallest sizes changes no verdict"
    )
    moves = [
        (abs(10**slope.slope - 10**fit.stability.slope), fit, factor, slope)
        for fit in judged
        for factor, (slope, _) in fit.verdicts[STABILITY].filtered.items()
        if factor > 1 and not slope.failure
    ]
    if not moves:
        return Sentence(f"{text}.", parts) if flips else Sentence("")
    _, fit, factor, slope = max(moves, key=lambda move: move[0])
    how = "10^b − 1, b: stability slope of {} the onset's p on, {}"

    def growth(name: str, of: Slope, sizes: str) -> Number:
        value = 10**of.slope - 1
        key = f"answer:sure:{fit.kind}:{name}"
        return Number(key, value, how.format(sizes, "growth per ten times p"), of.trials, "growth")

    before = growth("before", fit.stability, "cells past")
    after = growth(f"after {factor}", slope, f"cells from {factor} times")
    if str(before) == str(after):
        return Sentence(f"{text}, and hardly the growth.", parts)
    parts |= {"name": labels_of(judged)[fit.kind].label, "before": before, "after": after}
    text += "; the growth moves most for {name}, from {before} to {after}."
    return Sentence(text, parts)


def _certified(fits: Fits, judged: list[KindFit]) -> Sentence:
    """Name the kinds whose certified stability, a lower estimate, falls with size."""
    slopes = fits.slopes_of(CERTIFIED)
    falling = [fit for fit in judged if fit.kind in slopes and slopes[fit.kind].high < 0]
    if not falling:
        return Sentence("")
    labels = labels_of(judged)
    parts: dict[str, Any] = {}
    phrases = []
    for i, fit in enumerate(falling):
        numbers = slope_numbers(f"law:{fit.kind}:{CERTIFIED}", slopes[fit.kind], CERTIFIED)
        parts |= {f"{name}{i}": numbers[name] for name in ("b", "low", "high")}
        parts[f"name{i}"] = labels[fit.kind].label
        phrases.append(f"{{name{i}}}, p^{{b{i}}} ({{low{i}}} to {{high{i}}})")
    return Sentence(
        "S is an upper estimate. Certified stability, a lower one that gets looser with size, falls"
        f" for {'; '.join(phrases)}.",
        parts,
    )


def _number(name: str, value: float, how: str, trials: tuple[str, ...]) -> Number:
    return Number(
        f"answer:sure:{name}", value, f"{how}, judged kinds" if trials else how, trials, "int"
    )
