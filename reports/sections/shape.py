"""Say in a sentence whether one power law describes how stability grows with size."""

from reports.fits.forms import BROKEN, LEVELLING, LOGARITHM, POWER, Interval
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
        "error": number(f"error of {forms.best}", forms.errors[forms.best]),
        "power_error": number(f"error of {POWER}", forms.errors[POWER]),
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
        return Sentence(
            "No bent form predicts left-out curves better than one power law (typical factor"
            " {error}).",
            parts,
        )
    return Sentence(
        "Left-out curves are best predicted by {best} (typical factor {error}; one power law"
        " {power_error}), which does not beat every other form by more than chance, so no knee is"
        " claimed.",
        parts,
    )
