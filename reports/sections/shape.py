"""Say in a sentence whether one power law describes how stability grows with size."""

import numpy as np

from reports.fits.forms import Interval
from reports.fits.knee_power import MARKED, SLIGHT, knee_power, place_of, simulated
from reports.fits.shapes import BROKEN, LEVELLING, LOGARITHM, POWER
from reports.law import KindFit
from reports.numbers import Number, Sentence

IN_WORDS = {
    POWER: "one power law",
    LOGARITHM: "A + B·ln p",
    LEVELLING: "a power law that levels off",
    BROKEN: "two power laws with a knee",
}


def shape_sentence(fit: KindFit) -> Sentence:
    """Return which form predicts unseen curves best, and the knee where it counts. The sentence is
    empty without a slope, and where there are too few curves to compare forms."""
    forms = fit.forms
    if forms.failure or fit.stability.failure:
        return Sentence("")

    def number(name: str, value: float, style: str = "sig3") -> Number:
        how = f"{name}; fits of log stability_attack_mean against log p/(n·d), each curve left out"
        return Number(f"shape:{fit.kind}:{name}", value, how, forms.trials, style)

    def interval(name: str, value: Interval, style: str) -> dict[str, Number]:
        ends = zip(("", " low", " high"), value, strict=True)
        return {
            f"{name}{end}".replace(" ", "_"): number(f"{name}{end}", v, style) for end, v in ends
        }

    parts: dict[str, object] = {
        "best": IN_WORDS[forms.best],
        "error": number(f"error of {forms.best}", forms.errors[forms.best], "factor"),
        "power_error": number(f"error of {POWER}", forms.errors[POWER], "factor"),
    }
    if forms.knee:
        parts |= interval("place", forms.knee.place, "sig3")
        parts |= interval("below", forms.knee.below, "signed")
        parts |= interval("above", forms.knee.above, "signed")
        return Sentence(
            "One power law does not describe it: slope {below} ({below_low} to {below_high}) below"
            " p/(n·d) = {place} ({place_low} to {place_high}), and {above} ({above_low} to"
            " {above_high}) above. This form predicts left-out curves better than every other by"
            " more than chance, once the noise that its second slope adds is allowed for.",
            parts,
        )
    if forms.best == POWER:
        text = (
            "One power law predicts held-out curves best (typical prediction error: a factor of"
            " {error}), so no bend is claimed."
        )
    else:
        text = (
            "Held-out curves are predicted best by {best} (typical prediction error: a factor of"
            " {error}; one power law: {power_error}). It does not beat every other form by more"
            " than chance, so no bend is claimed."
        )
    power = _power(fit)
    return Sentence(f"{text} {power.template}".rstrip(), parts | power.parts)


def _power(fit: KindFit) -> Sentence:
    """Return how often cells like these would show a knee. The sentence is empty where they leave
    no noise to judge by."""
    slope, sizes = fit.stability, fit.forms.sizes
    if not slope.noise_freedom:
        return Sentence("")
    at = place_of(sizes)

    def number(name: str, value: float, how: str, style: str) -> Number:
        return Number(f"shape:{fit.kind}:{name}", value, how, fit.forms.trials, style)

    parts: dict[str, object] = {
        "at": number("place planted", float(np.exp(at)), "p/(n·d) of the knee planted", "sig3")
    }
    for name, knee in (("slight", SLIGHT), ("marked", MARKED)):
        planted = knee._replace(place=at)
        power = knee_power(sizes, planted, slope.tau, slope.noise)
        how = (
            f"share of simulated stores of these sizes ({len(simulated(sizes))} of {len(sizes)}"
            f" curves), spread of slopes {slope.tau:.3g} and noise"
            f" {slope.noise**0.5:.3g} a trial, in which the {name} knee counts"
        )
        parts[name] = number(f"power {name}", power, how, "percent")
        for side in ("below", "above"):
            of_side = getattr(planted, side)
            parts[f"{name}_{side}"] = number(
                f"planted {name} {side}", of_side, f"slope planted {side} the knee", "signed"
            )
    least = "at least " if len(simulated(sizes)) < len(sizes) else ""
    return Sentence(
        "These sizes would have shown a bend at p/(n·d) = {at} from slope {slight_below} to"
        f" {{slight_above}} with a probability of {least}{{slight}}, one from {{marked_below}} to"
        f" {{marked_above}} with {least}{{marked}}.",
        parts,
    )
