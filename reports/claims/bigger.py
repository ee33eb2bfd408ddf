"""C8: bigger is more robust. Each sensitivity measure's slope against p, pooled over kinds."""

from typing import NamedTuple

from reports.claims.claim import UNTESTED, Finding, Statement
from reports.evidence import Evidence
from reports.fit_numbers import slope_numbers
from reports.fits.pooled_effect import PooledEffect, holm, pool_effects
from reports.fits.slope import Slope
from reports.law import FILTERS, Fits
from reports.measures import MEASURES, Measure
from reports.numbers import Number, Sentence

ALPHA = 0.05

STATEMENT = Statement(
    "C8",
    "Bigger is more robust",
    "popular accounts",
    "The slope of each sensitivity measure against p, pooled over kinds, each with the same say;"
    " kinds of one family count as dependent. A measure that is a guarantee is shown but not"
    " counted, since it may merely get looser with size. Contradicted if the pooled slope of any"
    " measure lies on the fragile side of 0 after Holm's adjustment over the measures, so that"
    " stores in which nothing depends on p are judged so in at most 5 % of cases. Supported if the"
    " 95 % interval of every measure lies on the robust side. Undecided otherwise, and wherever a"
    " pooled slope changes sides, significantly, between cells from 1, 2, 4 and 8 times the"
    " onset.",
)

WORDS = {1: "more robust with size", -1: "less robust with size", 0: "sign undecided"}
GUARANTEES = {
    1: "guarantees more with size, not counted",
    -1: "guarantees less with size, not counted",
    0: "sign undecided, not counted",
}
"""By the sign of a slope: +1 on the robust side of 0, -1 on the other, 0 where it is not known."""


class MeasureEffect(NamedTuple):
    """One measure's slope pooled over kinds. p_holm: adjusted over all the measures counted.
    flips: filters (multiples of the onset's p) from which on the sign is significantly another."""

    measure: Measure
    pooled: PooledEffect
    slopes: dict[str, Slope]
    p_holm: float
    flips: list[int]

    @property
    def sign(self) -> int:
        """Return the side of 0 on which the effect lies after Holm's adjustment; 0 if none."""
        if self.p_holm > ALPHA or self.flips:
            return 0
        return self.side

    @property
    def side(self) -> int:
        """Return the side of 0 on which the 95 % interval lies; 0 where it contains 0."""
        return self.measure.robust * _side(self.pooled)


def check(evidence: Evidence, fits: Fits) -> Finding:
    families = dict(zip(evidence.trials["kind"], evidence.trials["family"], strict=True))
    effects = measure_effects(fits, families)
    counted = [effect for effect in effects if effect.measure.telling]
    if not counted:
        return UNTESTED

    verdict = "undecided"
    if any(effect.sign < 0 for effect in counted):
        verdict = "contradicted"
    elif all(effect.side > 0 and not effect.flips for effect in counted):
        verdict = "supported"
    sentences = [_summary(counted), *(_pooled_sentence(effect) for effect in effects)]
    for effect in effects:
        for kind, slope in effect.slopes.items():
            sentences.append(_kind_sentence(kind, effect.measure, slope))
    return Finding(verdict, sentences)


def measure_effects(fits: Fits, families: dict[str, str]) -> list[MeasureEffect]:
    """Return every measure that has a slope in some kind, in the order of MEASURES. families: kind
    → family."""
    effects = []
    for measure in MEASURES:
        fitted = _fitted(fits.slopes_of(measure.column))
        if not fitted:
            continue
        pooled = _pool(fitted, families)
        flips = []
        for factor in FILTERS[1:]:
            further = _fitted(fits.filtered_slopes(factor, measure.column))
            if further and _side(pooled) * _side(_pool(further, families)) < 0:
                flips.append(factor)
        effects.append(MeasureEffect(measure, pooled, fitted, 1.0, flips))

    adjusted = iter(holm([e.pooled.p for e in effects if e.measure.telling]))
    return [
        effect._replace(p_holm=next(adjusted) if effect.measure.telling else effect.pooled.p)
        for effect in effects
    ]


def _fitted(slopes: dict[str, Slope]) -> dict[str, Slope]:
    return {kind: slope for kind, slope in slopes.items() if not slope.failure}


def _pool(slopes: dict[str, Slope], families: dict[str, str]) -> PooledEffect:
    return pool_effects(
        [slope.slope for slope in slopes.values()],
        [slope.error for slope in slopes.values()],
        [slope.freedom for slope in slopes.values()],
        [families[kind] for kind in slopes],
    )


def _side(pooled: PooledEffect) -> int:
    """Return the sign of the interval; 0 where it contains 0."""
    if pooled.low > 0:
        return 1
    return -1 if pooled.high < 0 else 0


def _summary(counted: list[MeasureEffect]) -> Sentence:
    trials = _trials(counted)
    signs = [effect.sign for effect in counted]

    def number(name: str, value: float, how: str) -> Number:
        return Number(f"C8:{name}", value, how, trials, "int")

    how = "number of the measures counted whose pooled slope, after Holm's adjustment, lies"
    parts = {
        "measures": number("measures", len(counted), "number of measures counted"),
        "robust": number("robust", signs.count(1), f"{how} on the robust side of 0"),
        "fragile": number("fragile", signs.count(-1), f"{how} on the fragile side of 0"),
    }
    unclear = len(counted) - signs.count(1) - signs.count(-1)
    parts["unclear"] = number("unclear", unclear, "number of the measures counted of unclear sign")
    return Sentence(
        "Pooled over kinds, {robust} of {measures} measures grow more robust with size, {fragile}"
        " less robust, and the sign of {unclear} is not clear.",
        parts,
    )


def _pooled_sentence(effect: MeasureEffect) -> Sentence:
    pooled = effect.pooled
    column = effect.measure.column
    how = f"mean over kinds of the slope of log {column} against log p"
    trials = _trials([effect])

    def number(name: str, value: float, style: str = "signed") -> Number:
        return Number(f"C8:pooled:{column}:{name}", value, f"{name}; {how}", trials, style)

    words = WORDS if effect.measure.telling else GUARANTEES
    parts = {
        "name": effect.measure.name,
        "b": number("slope", pooled.effect),
        "low": number("low", pooled.low),
        "high": number("high", pooled.high),
        "kinds": number("kinds", pooled.kinds, "int"),
        "word": words[effect.sign],
    }
    text = "{name}: pooled slope {b} ({low} to {high}) over {kinds} "
    text += "kinds" if pooled.kinds > 1 else "kind"
    if pooled.kinds > 1:
        parts["spread"] = number("spread", pooled.spread, "sig3")
        text += ", whose true slopes have a standard deviation of {spread}"
    if effect.flips:
        parts["flips"] = ", ".join(str(factor) for factor in effect.flips)
        text += "; the sign turns in cells from {flips} times the onset on"
    return Sentence(text + ": {word}.", parts)


def _kind_sentence(kind: str, measure: Measure, slope: Slope) -> Sentence:
    parts = {
        "kind": kind,
        "name": measure.name,
        **slope_numbers(f"C8:{kind}:{measure.column}", slope, measure.column),
    }
    return Sentence("{kind}: {name}, slope {b} ({low} to {high}), {cells} cells.", parts)


def _trials(effects: list[MeasureEffect]) -> tuple[str, ...]:
    used = {
        trial: None
        for effect in effects
        for slope in effect.slopes.values()
        for trial in slope.trials
    }
    return tuple(used)
