"""Answer the page's question in one sentence, over all kinds of model tested.

str(headline(fit_evidence(evidence)))
"""

from typing import Any

from reports.best_fit_answer import SHORTLY, plain_share
from reports.law import Fits, KindFit
from reports.numbers import Number, Sentence
from reports.outcomes import (
    BY_FILTER,
    FALLS,
    NO_GROWTH,
    ORDER_KEPT,
    SLOWER,
    TOO_STEEP,
    WIDE,
    outcome_of,
)
from reports.verdicts import ORDER

SLOWLY, EQUALLY, FASTER, UNDECIDED = "slowly", "equally", "faster", "undecided"
GROUPS = {
    SLOWLY: (SLOWER, NO_GROWTH, FALLS),
    EQUALLY: (ORDER_KEPT,),
    FASTER: (TOO_STEEP,),
    UNDECIDED: (WIDE, BY_FILTER),
}
"""Part of the headline → the outcomes that it counts."""
CEILING = "The ceiling rises by {ceiling} for ten times the parameters."
WHOLE = {
    SLOWLY: (
        "No, not with plain training: in {kinds}, robustness grows more slowly with size than the"
        " law's ceiling, which rises by {ceiling} for ten times the parameters. This does not"
        " contradict the law, which sets only an upper limit."
    ),
    EQUALLY: (
        "Yes: in {kinds}, robustness grows with size as fast as the law's ceiling, which rises by"
        " {ceiling} for ten times the parameters."
    ),
    FASTER: (
        "Faster, for now: in {kinds}, robustness grows faster with size than the law's ceiling,"
        " which rises by {ceiling} for ten times the parameters, and cannot do so for ever."
    ),
    UNDECIDED: (f"These trials cannot tell: in {{kinds}}, the slope is too uncertain. {CEILING}"),
}
"""The headline where all kinds are alike."""
NOTHING = "These trials do not say: no slope of plain training meets the law's condition."
PARTLY = {
    SLOWLY: "more slowly than the law's ceiling",
    EQUALLY: "as fast as the ceiling",
    FASTER: "faster than the ceiling",
    UNDECIDED: "in a way that cannot be told",
}


def headline(fits: Fits) -> Sentence:
    """Return the answer to the page's question over all judged kinds of plain training, and over
    the problems on which a search for the most robust fit decides it.

    The search answers alone where no slope of plain training can.
    """
    judged = [fit for fit in fits.kinds if fit.judged]
    by_group = {
        group: [fit for fit in judged if outcome_of(fit) in outcomes]
        for group, outcomes in GROUPS.items()
    }
    present = {group: own for group, own in by_group.items() if own}

    parts: dict[str, Any] = {}
    texts = []
    if present:
        parts |= {"kinds": _count("kinds", judged), "ceiling": ceiling()}
        texts.append(_over_groups(present, parts))
    texts += _of_best_fits(fits, parts)
    if not texts:
        texts.append(NOTHING)
    return Sentence(" ".join(texts), parts)


def _of_best_fits(fits: Fits, parts: dict[str, Any]) -> list[str]:
    """Return a template for each verdict on the best fits found, the law's order first. Its
    problems and their numbers join the parts.

    How far plain training is stands here where one problem was searched alone.
    """
    texts = []
    for i, (verdict, words) in enumerate(SHORTLY.items()):
        own = [fit for fit in fits.frontier if fit.verdict == verdict]
        if not own:
            continue
        parts[f"problems{i}"] = "; ".join(str(fit.problem) for fit in own)
        text = words.replace("{problems}", f"{{problems{i}}}")
        if len(fits.frontier) == 1 and own[0].plain is not None:
            parts["share"] = plain_share(own[0])
            text += " Plain training reaches {share} of that radius."
        texts.append(text)
    return texts


def _over_groups(present: dict[str, list[KindFit]], parts: dict[str, Any]) -> str:
    """Return the template for these groups, whose counts join the parts where they are several."""
    if len(present) == 1:
        ((group, own),) = present.items()
        all_of_them = "all {kinds} kinds of model tested"
        return WHOLE[group].replace(
            "{kinds}", all_of_them if len(own) > 1 else "the one kind of model tested"
        )
    parts |= {group: _count(group, own) for group, own in present.items()}
    listed = [f"{PARTLY[group]} in {{{group}}}" for group in present]
    return (
        "It depends. Of {kinds} kinds of model tested, robustness grows with size "
        + ", ".join(listed[:-1])
        + f" and {listed[-1]}. {CEILING}"
    )


def _count(name: str, kinds: list[KindFit]) -> Number:
    how = "judged kinds of plain training (family, labels, stop rule, adversary)"
    trials = tuple(trial for fit in kinds for trial in fit.stability.trials)
    return Number(f"answer:headline:{name}", len(kinds), how, trials, "int")


def ceiling() -> Number:
    """Return by how much the law's ceiling on stability rises per ten times the parameters."""
    return Number("answer:ceiling", 10**ORDER - 1, "10^(1/2) − 1", (), "growth")
