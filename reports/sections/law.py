"""The section "The law, and what was measured": a card for each kind with its fitted slopes and
verdicts, and the law chart with published models on the same axis below it."""

from typing import NamedTuple

from reports.answer import labels_of
from reports.charts.axes import P_OVER_ND, STABILITY_AXIS
from reports.charts.published import PLACES, places
from reports.charts.scatter import scatter
from reports.evidence import Evidence
from reports.fit_numbers import slope_numbers
from reports.law import GROWS, Fits, KindFit
from reports.measures import LOWER, RADIUS, STABILITY
from reports.numbers import Number, Sentence
from reports.sections.counts import count_trials
from reports.sections.section import Section, fill
from reports.sections.shape import shape_sentence
from reports.verdicts import ORDER, meaning


class SlopeText(NamedTuple):
    """A slope in the words of its card. meaning: the verdict in plain words, empty where it needs
    none. Without a slope there are no numbers, only a verdict."""

    verdict: str
    meaning: str = ""
    text: Sentence | None = None
    basis: Sentence | None = None
    numbers: dict[str, Number] = {}


class Card(NamedTuple):
    """One kind of model."""

    kind: str
    label: str
    noisy: bool
    stability: SlopeText
    lipschitz: SlopeText
    radius: SlopeText
    shape: Sentence

    def numbers(self) -> list[Number]:
        return [
            *self.stability.numbers.values(),
            *self.lipschitz.numbers.values(),
            *self.radius.numbers.values(),
            *self.shape.numbers(),
        ]


def section(evidence: Evidence, fits: Fits) -> Section | None:
    if evidence.drawn_by_law.empty:
        return None
    counts = count_trials(evidence)
    labels = labels_of(fits.kinds)
    laws = [_card(fit, labels[fit.kind].label) for fit in fits.kinds]
    without: dict[str, list[str]] = {}
    for law in laws:
        if law.radius.verdict and not law.radius.numbers:
            without.setdefault(law.radius.verdict, []).append(law.label)
    without_radius = [(why, "; ".join(own)) for why, own in without.items()]

    figures = {PLACES: places(evidence.trials)}
    law_chart = scatter(
        evidence,
        evidence.drawn_by_law,
        P_OVER_ND,
        STABILITY_AXIS,
        fitted=fits.slopes_of(STABILITY),
        guide=ORDER,
        switch="d",
    )
    if law_chart is not None:
        figures["law"] = law_chart

    html = fill(
        "law.html.j2",
        counts=counts,
        laws=laws,
        without_radius=without_radius,
        figures=figures,
        outside=sorted(evidence.outside["kind"].unique()) if len(evidence.outside) else [],
    )
    numbers = [*counts.values(), *(number for law in laws for number in law.numbers())]
    numbers += [number for chart in figures.values() for number in chart.numbers()]
    return Section("law", "The law, and what was measured", html, numbers, figures)


def _card(fit: KindFit, label: str) -> Card:
    stability, lipschitz, radius = (_slope_text(fit, c) for c in (STABILITY, LOWER, RADIUS))
    return Card(fit.kind, label, fit.noisy, stability, lipschitz, radius, shape_sentence(fit))


def _slope_text(fit: KindFit, column: str) -> SlopeText:
    if column not in fit.verdicts:
        return SlopeText("")
    slope = fit.verdicts[column].slope
    verdict = fit.verdicts[column].verdict
    if slope.failure:
        return SlopeText(verdict)
    numbers = slope_numbers(f"law:{fit.kind}:{column}", slope, column)

    text = Sentence("{b} ({low} to {high})", {name: numbers[name] for name in ("b", "low", "high")})

    basis = "{cells} cells on {curves} curve"
    if slope.curves > 1:
        basis += "s of equal weight, single curves {smallest} to {largest}"
    if slope.pooled:
        basis += "; too few curves for an interval of their own, so it uses the spread of slopes"
        basis += " pooled over all kinds"
    basis += "; typical prediction error on held-out sizes: a factor of {held_out}"
    if slope.dropped:
        basis += "; {dropped} trials without a positive value left out"
    in_basis = ("cells", "curves", "smallest", "largest", "held_out", "dropped")

    said = meaning(verdict, GROWS[column])
    return SlopeText(
        verdict, said, text, Sentence(basis, {name: numbers[name] for name in in_basis}), numbers
    )
