"""Answer the page's question in plain words, for each kind of data: random data, MNIST, GPTs, and
the tasks of a user by their own name.

    for answer in answers(evidence, fit_evidence(evidence)): print(answer.name, answer.sentences[0])

The best fit found comes first, then plain training. A sentence about plain training follows from
the outcome of its slope; kinds with one outcome share a sentence. Every figure is a `Number`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from reports.best_fit_answer import WORDS, best_fit_sentence
from reports.data_names import DataName, KindLabel, data_name, kind_labels, place_of
from reports.evidence import Evidence, fit_rows
from reports.fits.slope import Slope
from reports.frontier_answer import FrontierFit
from reports.frontier_stability import stability_beside_plain
from reports.headline import headline
from reports.law import Fits, KindFit
from reports.numbers import Number, Sentence
from reports.outcomes import CLAUSES, TOO_FEW, outcome_of
from reports.token_ratio import answer_sentences_on_ratio

LADDER = "gpt-stream"
"""The family of the models that ladders are made of."""
NAMED = 3
"""Kinds up to which a sentence gives each kind's figures."""


class Answer(NamedTuple):
    """What the rows say about one kind of data: about the best fit found, and about plain training.
    judged: some kind of plain training has a verdict. decided: so has the best fit found."""

    name: str
    best: list[Sentence]
    plain: list[Sentence]
    judged: bool = False
    decided: bool = False

    @property
    def sentences(self) -> list[Sentence]:
        """Return all sentences, the best fit first where it is decided."""
        return [*self.best, *self.plain] if self.decided else [*self.plain, *self.best]

    def numbers(self) -> list[Number]:
        return [number for sentence in self.sentences for number in sentence.numbers()]


def answers(evidence: Evidence, fits: Fits) -> list[Answer]:
    """Return an answer for each kind of data, in the order of the page.

    Models that were trained elsewhere get none: the law says nothing about them.
    """
    trained = [fit for fit in fits.kinds if not fit.kind.endswith(", as published")]
    searched = [str(fit.problem).split(", ")[0] for fit in fits.frontier]
    families = sorted({*searched, *(fit.family for fit in trained)}, key=place_of)

    found = []
    for data in dict.fromkeys(map(data_name, families)):
        own = [
            fit
            for fit, family in zip(fits.frontier, searched, strict=True)
            if data_name(family) == data
        ]
        best = []
        for fit in own:
            told = [best_fit_sentence(fit), stability_beside_plain(fit, evidence)]
            told = [sentence for sentence in told if sentence.template]
            best += [_named(fit, one) for one in told] if len(own) > 1 else told
        kinds = [fit for fit in trained if data_name(fit.family) == data]
        decided = any(fit.verdict in WORDS for fit in own)
        plain = _plain_sentences(data, kinds, evidence, decided) if kinds else []
        if any(fit.family == LADDER for fit in kinds):
            plain += answer_sentences_on_ratio(fits.ratios)
        judged = any(outcome_of(fit) in CLAUSES for fit in kinds)
        found.append(Answer(data.name, best, plain, judged, decided))
    return found


def _named(fit: FrontierFit, told: Sentence) -> Sentence:
    """Return the sentence with the name of the problem that it is about."""
    return Sentence(f"{{problem}}: {told.template}", {"problem": fit.problem, **told.parts})


def answer_sentences(evidence: Evidence, fits: Fits) -> list[Sentence]:
    """Return the answer in plain text, by `str`: the headline, and sentences that name their
    data."""
    found = answers(evidence, fits)
    if not found:
        return [Sentence("No trial that could answer the question has finished.")]
    about = [
        Sentence(f"{{data}}: {told.template}", {"data": answer.name, **told.parts})
        for answer in found
        for told in answer.sentences
    ]
    return [headline(fits), *about]


def _plain_sentences(
    data: DataName, kinds: Sequence[KindFit], evidence: Evidence, decided: bool
) -> list[Sentence]:
    """Return the sentences on plain training, one an outcome.

    Kinds without a verdict are named only where no kind of the data has one. decided: the best fit
    found answers for the data, so a slope of plain training that its few sizes cannot give is no
    gap in the answer.
    """
    by_outcome: dict[str, list[KindFit]] = {}
    for fit in kinds:
        by_outcome.setdefault(outcome_of(fit), []).append(fit)
    judged = {outcome: by_outcome[outcome] for outcome in CLAUSES if outcome in by_outcome}
    if judged:
        all_of_them = [fit for own in judged.values() for fit in own]
        labels = labels_of(all_of_them)
        return [
            plain_sentence(
                outcome,
                data.thing,
                own,
                evidence,
                f"{data.name}:{outcome}",
                _in_words([labels[fit.kind] for fit in own]) if len(judged) > 1 else "",
            )
            for outcome, own in judged.items()
        ]

    parts: dict[str, Any] = {"thing": data.thing}
    if TOO_FEW in by_outcome:
        if decided:
            text = "Plain training: too few curves have enough sizes for a slope."
            return [Sentence(text)]
        return [Sentence("No answer for {thing}: too few curves have sizes to compare.", parts)]
    why = sorted({reason(fit.verdict) for fit in kinds})
    parts["why"] = "; ".join(why)
    return [Sentence("No answer for {thing}: {why}.", parts)]


def labels_of(kinds: Sequence[KindFit]) -> dict[str, KindLabel]:
    """Return the short label of each kind."""
    return kind_labels([fit.kind for fit in kinds], [fit.family for fit in kinds])


def _in_words(labels: Sequence[KindLabel]) -> str:
    """Return what tells these kinds from the others of their data."""
    if len(labels) == 1:
        return labels[0].in_sentence
    return "; ".join(label.in_sentence for label in labels)


def reason(verdict: str) -> str:
    """Return why there is no verdict."""
    for end in (", no verdict", ": no verdict"):
        verdict = verdict.removesuffix(end)
    for start in ("no fit, no verdict: ", "no verdict: ", "cannot tell: "):
        verdict = verdict.removeprefix(start)
    return verdict


def plain_sentence(
    outcome: str,
    thing: str,
    kinds: Sequence[KindFit],
    evidence: Evidence,
    key: str,
    words: str = "",
) -> Sentence:
    """Return the sentence for kinds of one outcome: their growths with intervals, of more than
    NAMED kinds the smallest and the largest, and over which sizes.

    thing: one of their models. key: middle of the numbers' keys. words: what tells the kinds from
    others of their data, with which the sentence opens.
    """
    ordered = sorted(kinds, key=lambda fit: fit.stability.slope)
    each = len(ordered) <= NAMED
    shown = ordered if each else [ordered[0], ordered[-1]]
    labels = labels_of(ordered)
    parts: dict[str, Any] = {"thing": thing}
    phrases = []
    for i, fit in enumerate(shown):
        growth = growth_numbers(fit)
        parts |= {f"{name}{i}": number for name, number in growth.items()}
        phrase = with_interval(growth, str(i))
        if each and len(ordered) > 1:
            parts[f"kind{i}"] = labels[fit.kind].in_sentence
            phrase = phrase.removesuffix(")") + f"; {{kind{i}}})"
        phrases.append(phrase)
    together = ", ".join(phrases[:-1]) + " and " if each else " to ".join(phrases[:-1]) + " to "
    growths = together + phrases[-1] if len(phrases) > 1 else phrases[0]
    text = opening(CLAUSES[outcome].replace("{growth}", growths), words, parts)

    rows = evidence.trials[["kind", "in_fit", "p"]]
    sizes = pd.concat([fit_rows(rows, fit.kind)["p"] for fit in kinds])
    used = tuple(trial for fit in kinds for trial in fit.stability.trials)
    parts |= size_numbers(key, sizes, used)
    text = text.removesuffix(".") + " ({p_min} to {p_max} parameters"
    if not each:
        how = "kinds (family, labels, stop rule, adversary) with this outcome"
        parts["kinds"] = Number(f"answer:{key}:kinds", len(kinds), how, used, "int")
        text += ", {kinds} kinds"
    return Sentence(f"{text}).", parts)


def opening(text: str, words: str, parts: dict[str, Any]) -> str:
    """Return a sentence's template that opens with the words, which join its parts, if any."""
    if not words:
        return text
    parts["words"] = words[0].upper() + words[1:]
    return "{words}: " + text[0].lower() + text[1:]


def with_interval(growth: dict[str, Number], suffix: str = "") -> str:
    """Return the places of a growth and its interval: "{growth} ({low}–{high})"."""
    dash = " to " if growth["low"].value < 0 else "–"
    return f"{{growth{suffix}}} ({{low{suffix}}}{dash}{{high{suffix}}})"


def size_numbers(key: str, sizes: pd.Series, used: tuple[str, ...]) -> dict[str, Number]:
    """Return the smallest and the largest size of a fit: p_min and p_max."""
    return {
        f"p_{end}": Number(
            f"answer:{key}:p_{end}", float(sizes.agg(end)), f"{end} of p in the fit", used, "size"
        )
        for end in ("min", "max")
    }


def growth_numbers(fit: KindFit) -> dict[str, Number]:
    """Return by how much stability grows per ten times the parameters, with its interval."""
    return growth_of(fit.kind, fit.stability, "stability slope of the kind")


def growth_of(key: str, slope: Slope, what: str) -> dict[str, Number]:
    """Return by how much a measure grows per ten times the parameters, 10^b − 1, with the ends of
    its 95 % interval: growth, low and high. what: of which b is the slope."""
    how = f"10^b − 1, b: fitted {what}"
    ends = {"growth": slope.slope, "low": slope.low, "high": slope.high}
    return {
        name: Number(
            f"answer:{key}:{name}",
            10**b - 1,
            how if name == "growth" else f"{how}, {name} end of its 95 % interval",
            slope.trials,
            "growth" if name == "growth" else "growth end",
        )
        for name, b in ends.items()
    }
