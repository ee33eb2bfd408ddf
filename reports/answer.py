"""Answer the page's question in plain words, for each kind of data: random data, MNIST, GPTs, and
the tasks of a user by their own name.

    for answer in answers(evidence, fit_evidence(evidence)): print(answer.name, answer.sentences[0])

The best fit found comes first, then plain training. A sentence about plain training follows from
the outcome of its slope; kinds with one outcome share a sentence. Every figure is a `Number`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from reports.best_fit_answer import best_fit_sentence
from reports.evidence import Evidence, fit_rows
from reports.frontier_answer import FrontierFit
from reports.law import Fits, KindFit
from reports.numbers import Number, Sentence
from reports.token_ratio import answer_sentences_on_ratio
from reports.verdicts import ATTAINS, ORDER, STEEPER

ORDER_KEPT, SLOWER, NO_GROWTH, FALLS, TOO_STEEP = "order", "slower", "none", "falls", "steep"
WIDE, BY_FILTER, TOO_FEW, NOT_JUDGED = "wide", "filter", "few", "not judged"
CLAUSES = {
    ORDER_KEPT: (
        "Ten times the parameters make {thing} {growth} more robust: as fast as the law's ceiling"
        " rises ({ceiling})."
    ),
    SLOWER: (
        "Ten times the parameters make {thing} {growth} more robust, less than the {ceiling} by"
        " which the law's ceiling rises."
    ),
    NO_GROWTH: (
        "Size makes no difference that can be told from none: ten times the parameters change the"
        " robustness of {thing} by {growth}, while the law's ceiling rises by {ceiling}."
    ),
    FALLS: (
        "Larger is less robust: ten times the parameters change the robustness of {thing} by"
        " {growth}, while the law's ceiling rises by {ceiling}."
    ),
    TOO_STEEP: (
        "Ten times the parameters make {thing} {growth} more robust. That is faster than the law"
        " allows in the long run ({ceiling}), so it cannot go on for ever."
    ),
    WIDE: (
        "Cannot tell: the interval is too wide. Ten times the parameters change the robustness of"
        " {thing} by {growth}; the law's ceiling rises by {ceiling}."
    ),
    BY_FILTER: (
        "Cannot tell: the answer depends on which sizes enter. From all of them, ten times the"
        " parameters change the robustness of {thing} by {growth}; from the larger ones alone,"
        " the verdict is another."
    ),
}
"""Outcome of a judged slope → its sentence. {growth} brings its interval along."""


class DataName(NamedTuple):
    """How the page speaks of one kind of data: its heading, and one of its models."""

    name: str
    thing: str


RANDOM = DataName("Random data", "a network on random data")
MNIST = DataName("MNIST", "an MNIST network")
GPTS = DataName("GPTs", "a GPT")
LADDER = "gpt-stream"
"""The family of the models that ladders are made of."""
SHIPPED = {
    "sphere": RANDOM,
    "mnist-mlp": MNIST,
    "mnist-cnn": MNIST,
    "gpt": GPTS,
    LADDER: GPTS,
}
"""Family of a shipped task → its data, in the order of the page."""


class Answer(NamedTuple):
    """What the rows say about one kind of data."""

    name: str
    sentences: list[Sentence]

    def numbers(self) -> list[Number]:
        return [number for sentence in self.sentences for number in sentence.numbers()]


def data_name(family: str) -> DataName:
    """Return how the page speaks of a family: a user's own by its name."""
    return SHIPPED.get(family, DataName(family, f"a network of the family {family}"))


def place_of(family: str) -> tuple[int, str]:
    """Return a family's place in the order of the page: shipped data first, then by name."""
    order = list(dict.fromkeys(SHIPPED.values()))
    data = data_name(family)
    return (order.index(data) if data in order else len(order), data.name)


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
        best = [best_fit_sentence(fit) for fit in own]
        if len(own) > 1:
            best = [_named(fit, told) for fit, told in zip(own, best, strict=True)]
        plain = [fit for fit in trained if data_name(fit.family) == data]
        if plain:
            best += _plain_sentences(data, plain, evidence)
        if any(fit.family == LADDER for fit in plain):
            best += answer_sentences_on_ratio(evidence.trials)
        found.append(Answer(data.name, best))
    return found


def _named(fit: FrontierFit, told: Sentence) -> Sentence:
    """Return the sentence with the name of the problem that it is about."""
    return Sentence(f"{{problem}}: {told.template}", {"problem": fit.problem, **told.parts})


def answer_sentences(evidence: Evidence, fits: Fits) -> list[Sentence]:
    """Return the answers as sentences that name their data: plain text by `str`."""
    sentences = [
        Sentence(f"{{data}}: {first.template}", {"data": answer.name, **first.parts})
        for answer in answers(evidence, fits)
        for first in answer.sentences
    ]
    return sentences or [Sentence("No trial that could answer the question has finished.")]


def outcome_of(fit: KindFit) -> str:
    """Return what a kind's stability slope says, as a key of CLAUSES or TOO_FEW or NOT_JUDGED."""
    if fit.stability.failure:
        return TOO_FEW if fit.noisy else NOT_JUDGED
    if not fit.judged:
        return NOT_JUDGED
    found = fit.verdicts["stability_attack_mean"]
    if found.flips:
        return BY_FILTER

    slope = found.slope
    if found.verdict == ATTAINS:
        return ORDER_KEPT
    if found.verdict == STEEPER:
        return TOO_STEEP
    if slope.high >= ORDER:
        return WIDE
    if slope.low > 0:
        return SLOWER
    return FALLS if slope.high < 0 else NO_GROWTH


def _plain_sentences(
    data: DataName, kinds: Sequence[KindFit], evidence: Evidence
) -> list[Sentence]:
    """Return the sentences on plain training, one an outcome. Kinds without a verdict are named
    only where no kind of the data has one."""
    by_outcome: dict[str, list[KindFit]] = {}
    for fit in kinds:
        by_outcome.setdefault(outcome_of(fit), []).append(fit)
    judged = [outcome for outcome in CLAUSES if outcome in by_outcome]
    if judged:
        named = len(judged) > 1
        return [plain_sentence(o, data, by_outcome[o], evidence, named) for o in judged]

    parts: dict[str, Any] = {"thing": data.thing}
    if TOO_FEW in by_outcome:
        return [Sentence("No answer for {thing}: too few curves have sizes to compare.", parts)]
    why = sorted({_reason(fit.verdict) for fit in kinds})
    parts["why"] = "; ".join(why)
    return [Sentence("No answer for {thing}: {why}.", parts)]


def _reason(verdict: str) -> str:
    """Return why there is no verdict."""
    for end in (", no verdict", ": no verdict"):
        verdict = verdict.removesuffix(end)
    for start in ("no verdict: ", "cannot tell: "):
        verdict = verdict.removeprefix(start)
    return verdict


def plain_sentence(
    outcome: str, data: DataName, kinds: Sequence[KindFit], evidence: Evidence, named: bool
) -> Sentence:
    """Return the sentence for kinds of one outcome: the smallest and the largest growth with their
    intervals, and over which sizes. named: other kinds of the data have another outcome, so the
    sentence names its kinds."""
    ordered = sorted(kinds, key=lambda fit: fit.stability.slope)
    ends = ordered if len(ordered) == 1 else [ordered[0], ordered[-1]]
    parts: dict[str, Any] = {"thing": data.thing, "ceiling": ceiling()}
    phrases = []
    for i, fit in enumerate(ends):
        growth = growth_numbers(fit)
        parts |= {f"{name}{i}": number for name, number in growth.items()}
        dash = " to " if growth["low"].value < 0 else "–"
        phrases.append(f"{{growth{i}}} ({{low{i}}}{dash}{{high{i}}})")
    text = CLAUSES[outcome].replace("{growth}", " to ".join(phrases))

    rows = evidence.trials[evidence.trials["kind"].isin([fit.kind for fit in kinds])]
    sizes = [fit_rows(rows, fit.kind)["p"] for fit in kinds]
    used = tuple(trial for fit in kinds for trial in fit.stability.trials)
    for end, value in (
        ("p_min", min(s.min() for s in sizes)),
        ("p_max", max(s.max() for s in sizes)),
    ):
        key = f"answer:{data.name}:{outcome}:{end}"
        parts[end] = Number(key, float(value), f"{end[2:]} of p in the fit", used, "size")
    text += " Sizes: {p_min} to {p_max} parameters"
    if named:
        own = [fit.kind for fit in kinds]
        parts["labels"] = "; ".join(own)
        text += ", kinds: {labels}"
    elif len(kinds) > 1:
        key = f"answer:{data.name}:{outcome}:kinds"
        how = "kinds (family, labels, stop rule, adversary) with this outcome"
        parts["kinds"] = Number(key, len(kinds), how, used, "int")
        text += ", {kinds} kinds"
    return Sentence(f"{text}.", parts)


def growth_numbers(fit: KindFit) -> dict[str, Number]:
    """Return by how much stability grows per ten times the parameters, 10^b − 1, with the ends of
    its 95 % interval: growth, low and high."""
    slope = fit.stability
    how = "10^b − 1, b: fitted stability slope of the kind"
    ends = {"growth": slope.slope, "low": slope.low, "high": slope.high}
    return {
        name: Number(
            f"answer:{fit.kind}:{name}",
            10**b - 1,
            how if name == "growth" else f"{how}, {name} end of its 95 % interval",
            slope.trials,
            "growth" if name == "growth" else "growth end",
        )
        for name, b in ends.items()
    }


def ceiling() -> Number:
    """Return by how much the law's ceiling on stability rises per ten times the parameters."""
    return Number("answer:ceiling", 10**ORDER - 1, "10^(1/2) − 1", (), "growth")
