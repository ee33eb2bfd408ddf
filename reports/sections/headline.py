"""Give the answer in one sentence for each family: how stability grows with p below the noise, over
which recipes of training, and what the law's verdict on it is."""

from typing import Any

import pandas as pd

from reports.evidence import fit_rows
from reports.law import KindFit
from reports.measures import STABILITY
from reports.numbers import Number, Sentence
from reports.recipes import in_words, recipe_of, recipe_slopes


def headline_of(fits: list[KindFit], trials: pd.DataFrame) -> Sentence:
    """Return the range of fitted stability slopes, the recipes behind them, and the verdicts,
    family by family."""
    by_family: dict[str, list[KindFit]] = {}
    for fit in fits:
        if fit.judged:
            by_family.setdefault(fit.family, []).append(fit)
    if not by_family:
        return Sentence(
            "No curve of plain training in this store has enough sizes below a known noise level"
            " for a slope, so on plain training the law's order is not tested here."
        )

    parts: dict[str, Any] = {}
    phrases = []
    for i, (family, judged) in enumerate(by_family.items()):
        parts |= _family_parts(i, family, judged)
        parts |= _recipe_parts(i, family, judged, trials)
        phrases.append(_family_phrase(i, parts, len(judged)))
    text = "Below the noise, stability grows with p at a slope of " + "; ".join(phrases) + "."

    not_judged = sorted({fit.family for fit in fits} - set(by_family))
    if not_judged:
        parts["not_judged"] = ", ".join(not_judged)
        text += (
            " No verdict for {not_judged}: the noise level is not known or was not reached, or"
            " there are too few sizes."
        )
    return Sentence(text, parts)


def _recipe_parts(i: int, family: str, fits: list[KindFit], trials: pd.DataFrame) -> dict[str, Any]:
    """Return the i-th family's recipes in words, and the lowest and highest slope of a recipe where
    there are several."""
    recipes: set[str] = set()
    slopes: list[float] = []
    used: list[str] = []
    for fit in fits:
        rows = fit_rows(trials, fit.kind)
        recipes |= set(rows["config_json"].map(recipe_of))
        of_kind = recipe_slopes(rows, STABILITY)
        if len(of_kind) > 1:
            slopes += [slope.slope for slope in of_kind.values()]
            used += fit.stability.trials

    parts: dict[str, Any] = {f"recipe{i}": in_words(recipes)}
    if slopes:
        how = f"of the slopes of the single recipes, kinds of family {family} below the noise"
        for name, value in (("lowest", min(slopes)), ("highest", max(slopes))):
            key = f"headline:{family}:{name} recipe"
            parts[f"{name}{i}"] = Number(key, value, f"{name} {how}", tuple(used), "signed")
    return parts


def _family_parts(i: int, family: str, fits: list[KindFit]) -> dict[str, Any]:
    """Return the parts of the i-th family's phrase: number of kinds, lowest and highest slope, and
    verdicts."""
    trials = tuple(trial for fit in fits for trial in fit.stability.trials)
    slopes = [fit.stability.slope for fit in fits]
    fitted = f"fitted stability slopes of the kinds of family {family} below the noise"

    def number(name: str, value: float, how: str, style: str) -> Number:
        return Number(f"headline:{family}:{name}", value, f"{how} {fitted}", trials, style)

    return {
        f"family{i}": family,
        f"kinds{i}": number("kinds", len(fits), "number of", "int"),
        f"low{i}": number("low", min(slopes), "smallest of the", "signed"),
        f"high{i}": number("high", max(slopes), "largest of the", "signed"),
        f"verdicts{i}": _verdicts(fits),
    }


def _family_phrase(i: int, parts: dict[str, Any], kinds: int) -> str:
    """Return the i-th family's template, with one slope where the lowest and highest read the
    same."""
    if kinds == 1:
        phrase = f"{{low{i}}} for {{kinds{i}}} kind of {{family{i}}}"
    elif str(parts[f"low{i}"]) == str(parts[f"high{i}"]):
        phrase = f"{{low{i}}} for {{kinds{i}}} kinds of {{family{i}}}"
    else:
        phrase = f"{{low{i}}} to {{high{i}}} for {{kinds{i}}} kinds of {{family{i}}}"
    if parts[f"recipe{i}"]:
        several = f"lowest{i}" in parts
        phrase += f" over recipes, {{recipe{i}}}" if several else f" at {{recipe{i}}}"
    if f"lowest{i}" in parts:
        phrase += f" (single ones: {{lowest{i}}} to {{highest{i}}})"
    return f"{phrase}: {{verdicts{i}}}"


def _verdicts(fits: list[KindFit]) -> str:
    """Return the verdicts on a family's kinds. Where they differ, each names its kinds."""
    by_verdict: dict[str, list[str]] = {}
    for fit in fits:
        kind = fit.kind.removeprefix(f"{fit.family}, ")
        by_verdict.setdefault(fit.verdict, []).append(kind)
    if len(by_verdict) == 1:
        return next(iter(by_verdict))
    return ", ".join(f"{verdict} ({'; '.join(kinds)})" for verdict, kinds in by_verdict.items())
