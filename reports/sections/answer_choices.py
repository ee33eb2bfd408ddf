"""The answer on plain training under other choices: one kind alone, and another quantity than
stability.

    for told in told_by_choice(evidence, fits): told.kind, told.quantity, told.sentence

Every sentence stands in the page, and the page's style shows those of the chosen kind and quantity.
So a choice needs no script, and a reader can trace the numbers of each.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from reports.answer import (
    Answer,
    growth_of,
    labels_of,
    opening,
    outcome_of,
    plain_sentence,
    reason,
    size_numbers,
    with_interval,
)
from reports.data_names import data_name, place_of
from reports.evidence import Evidence, fit_rows
from reports.fits.slope import Slope
from reports.law import OF_CLASSES, Fits, KindFit
from reports.measures import LOWER
from reports.numbers import Number, Sentence
from reports.sections.quantities import MAIN, WITHOUT_EMBEDDINGS, Measured, Quantity
from reports.verdicts import meaning

EVERYTHING, BEST = "all", "best"
"""The choices beside single kinds: all of them, and the best fits found."""


class KindChoice(NamedTuple):
    """One choice of what the answer is about. value: in the page's address. kind: whose marks stand
    out in charts, empty for the best fits found."""

    value: str
    label: str
    kind: str = ""


class Told(NamedTuple):
    """A sentence on one kind and one quantity. data: the heading that it belongs under."""

    data: str
    kind: str
    quantity: str
    sentence: Sentence


def judged_kinds(fits: Fits) -> list[KindFit]:
    """Return the kinds with a verdict, in the order of the page."""
    return sorted((fit for fit in fits.kinds if fit.judged), key=lambda fit: place_of(fit.family))


def kind_choices(fits: Fits) -> dict[str, KindChoice]:
    """Return the choice for each judged kind. Choices differ, even where labels differ in signs
    alone that an address cannot hold."""
    kinds = judged_kinds(fits)
    labels = labels_of(kinds)
    choices: dict[str, KindChoice] = {}
    taken = {EVERYTHING, BEST}
    for fit in kinds:
        label = labels[fit.kind].label
        value = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
        if not value or value in taken:
            value = f"{value}-{len(taken)}".strip("-")
        taken.add(value)
        choices[fit.kind] = KindChoice(value, label, fit.kind)
    return choices


def offered(fits: Fits, found: Sequence[Answer]) -> list[KindChoice]:
    """Return what the answer can be narrowed to; nothing where there is but one thing."""
    choices = list(kind_choices(fits).values())
    if any(answer.best for answer in found):
        choices.insert(0, KindChoice(BEST, "best fit found"))
    return choices if len(choices) > 1 else []


def told_by_choice(evidence: Evidence, fits: Fits, quantities: Sequence[Measured]) -> list[Told]:
    """Return a sentence for every judged kind and quantity. quantities: of
    `quantities.measured`."""
    kinds = judged_kinds(fits)
    labels = labels_of(kinds)
    choices = kind_choices(fits)
    found = []
    for own in quantities:
        for fit in kinds:
            sentence = _sentence(evidence, fits, fit, labels[fit.kind].words, own)
            data = data_name(fit.family).name
            found.append(Told(data, choices[fit.kind].value, own.quantity.value, sentence))
    return found


def _sentence(
    evidence: Evidence, fits: Fits, fit: KindFit, words: str, measured: Measured
) -> Sentence:
    thing = data_name(fit.family).thing
    if measured.quantity == MAIN:
        alone = plain_sentence(outcome_of(fit), thing, [fit], evidence, fit.kind, words)
        return _with_basis(alone, fit.kind, fit.stability)

    quantity = measured.quantity
    slope = measured.slopes.get(fit.kind)
    if slope is None:
        parts = {"noun": quantity.noun, "thing": thing, "why": _why_none(fits, fit, quantity)}
        text = opening("No slope of {noun} of {thing}: {why}.", words, parts)
        return Sentence(text, parts)

    key = f"{fit.kind}:{quantity.value}"
    rows = fit_rows(evidence.trials[["trial_id", "kind", "in_fit", "p"]], fit.kind)
    rows = rows[rows["trial_id"].isin(slope.trials)]
    sizes = measured.counted[fit.kind][rows.index] if measured.counted else rows["p"]
    growth = growth_of(key, slope, f"slope of {quantity.column}, {quantity.label}")
    parts = {
        "noun": quantity.noun,
        "thing": thing,
        "counted": ", not counting embeddings," if quantity == WITHOUT_EMBEDDINGS else "",
        **growth,
        **size_numbers(key, sizes, slope.trials),
    }
    ending, more = _what_follows(fit, quantity, slope)
    if measured.counted:
        more |= _embeddings(key, 1 - sizes / rows["p"], slope.trials)
        ending += " Embeddings hold {share_min} to {share_max} of all parameters."
    text = (
        "Ten times the parameters{counted} change {noun} of {thing} by "
        + with_interval(growth)
        + f"{ending} From {{p_min}} to {{p_max}} parameters."
    )
    return _with_basis(Sentence(opening(text, words, parts), parts | more), key, slope)


def _embeddings(key: str, shares: pd.Series, trials: tuple[str, ...]) -> dict[str, Number]:
    """Return the least and the largest share of embeddings: share_min and share_max."""
    return {
        f"share_{end}": Number(
            f"answer:{key}:share_{end}",
            float(shares.agg(end)),
            f"{end} of the embeddings' share of p in the fit",
            trials,
            "percent",
        )
        for end in ("min", "max")
    }


def _what_follows(fit: KindFit, quantity: Quantity, slope: Slope) -> tuple[str, dict[str, object]]:
    """Return how the sentence ends, and the parts that the end brings."""
    order = quantity.order
    if order is not None and quantity.column in fit.verdicts:
        bound = "ceiling rises" if order > 0 else "floor falls"
        law = Number(
            f"answer:bound:{order:+g}", abs(10**order - 1), f"|10^({order:+g}) − 1|", (), "growth"
        )
        # The verdict was passed on p with embeddings.
        if quantity == WITHOUT_EMBEDDINGS:
            return f", while the law's {bound} by {{law}}.", {"law": law}
        verdict = fit.verdicts[quantity.column].verdict
        said = meaning(verdict, 1 if order > 0 else -1)
        ending = f", while the law's {bound} by {{law}}: {{verdict}}" + (
            f" ({said})." if said else "."
        )
        return ending, {"law": law, "verdict": verdict}

    towards = quantity.robust * slope.slope
    said = "more robust" if towards > 0 else "less robust"
    if slope.low <= 0 <= slope.high:
        said = "no change that can be told from none"
    return f": {said}. No law bounds this measure.", {}


def _why_none(fits: Fits, fit: KindFit, quantity: Quantity) -> str:
    """Return why a kind has no slope of a quantity."""
    column = quantity.column
    if quantity == WITHOUT_EMBEDDINGS:
        return "its models have no embeddings"
    if column in fit.verdicts:
        return reason(fit.verdicts[column].verdict)
    slope = fits.slopes.get((fit.kind, column))
    if slope is None:
        return (
            OF_CLASSES.removeprefix("not drawn for classes: ")
            if column == LOWER
            else "not measured"
        )
    return slope.failure


def _with_basis(sentence: Sentence, key: str, slope: Slope) -> Sentence:
    """Return the sentence with the trials and curves that it rests on."""
    how = "that enter the fit"
    parts = {
        "trials": Number(
            f"answer:{key}:trials", len(slope.trials), f"trials {how}", slope.trials, "int"
        ),
        "curves": Number(
            f"answer:{key}:curves", slope.curves, f"curves {how}", slope.trials, "int"
        ),
    }
    curves = "curve" if slope.curves == 1 else "curves"
    text = f"{sentence.template} From {{trials}} trials on {{curves}} {curves}."
    return Sentence(text, sentence.parts | parts)


def style(kinds: Sequence[KindChoice], quantities: Sequence[Quantity]) -> str:
    """Return the CSS that shows the sentences of the chosen values. A value is made of letters,
    digits and hyphens.

    Without a choice the sentences of class `merged` stand; every other state shows those of class
    `told`.
    """
    rules = []
    for quantity in quantities[1:]:
        chosen = f"main:has(#chart-slopes-{quantity.value}:checked)"
        rules += [
            f"{chosen} .merged {{ display: none; }}",
            f"{chosen} .unmerged {{ display: inline; }}",
            f"{chosen} .told[data-quantity={quantity.value}] {{ display: block; }}",
        ]
    for kind in kinds:
        chosen = f"main:has(#kind-{kind.value}:checked)"
        of_main = f":has(#chart-slopes-{MAIN.value}:checked)" if len(quantities) > 1 else ""
        rules += [
            f"{chosen} .merged {{ display: none; }}",
            f"{chosen} .unmerged {{ display: inline; }}",
            f"{chosen}{of_main} .told[data-quantity={MAIN.value}] {{ display: block; }}",
            f'{chosen} .answers [data-kind]:not([data-kind~="{kind.value}"])'
            " { display: none !important; }",
        ]
    return "\n".join(rules)
