"""Does robustness follow parameters, tokens, or their ratio? Each measure of a ladder, fitted as a
power law in N and D and said in words.

    for ladder in token_ratios(evidence.trials): print(ladder.answer)

Trials: those of `reports.ladders` whose held-out loss is at most `learnt_loss`. A model that has
learnt nothing gives every input the same answer, and so is as stable as can be.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from reports.evidence import LEARNT, learnt_loss
from reports.fits.plane import (
    BOTH,
    COMPUTE,
    FLAT,
    RATIO,
    SIZE,
    TOKENS,
    UNKNOWN,
    Plane,
    fit_plane,
)
from reports.fits.scaling import Interval
from reports.ladders import LadderRows, ladders_of
from reports.measures import FAR, STABILITY
from reports.numbers import Number, Sentence


class Followed(NamedTuple):
    """A measure of a ladder. robust: +1 where a larger value is more robust, −1 where it is less.
    name: as its axis has it. short: within a sentence."""

    column: str
    robust: int
    name: str
    short: str


MEASURES = (
    Followed(
        STABILITY,
        +1,
        "S: mean distance to the nearest label change found (upper bound), data units",
        "stability S (nearest label change found)",
    ),
    Followed(
        "lip_mean_logprob_jacobian",
        -1,
        "mean Jacobian norm of the log-probabilities, nats per data unit",
        "the mean Jacobian norm",
    ),
    Followed(
        "kl_far_token",
        -1,
        f"KL from the clean prediction, token {FAR} places back replaced, nats",
        "the response to a replaced token far back",
    ),
)

FOLLOWS = {
    FLAT: "{measure} hardly depends on parameters or tokens",
    SIZE: "{measure} follows the parameters, not the tokens",
    TOKENS: "{measure} follows the tokens, not the parameters",
    RATIO: "{measure} follows the tokens per parameter",
    COMPUTE: "{measure} follows parameters times tokens, the compute",
    BOTH: "{measure} depends on parameters and tokens in another combination than ratio or product",
    UNKNOWN: "it cannot be told whether {measure} follows parameters, tokens or their ratio",
}


class Fitted(NamedTuple):
    """A measure with its fit, or why there is none, and what is said about it. trials: ids of the
    runs fitted."""

    measure: Followed
    plane: Plane | str
    sentence: Sentence
    trials: tuple[str, ...]


class TokenRatio(NamedTuple):
    """One ladder: its settings, its trials with a column for each of MEASURES, the fits, and which
    trials they leave out."""

    key: str
    settings: str
    trials: pd.DataFrame
    fits: list[Fitted]
    left_out: Sentence

    @property
    def answer(self) -> Sentence | None:
        """Return the sentence on the first measure, None where it has no fit."""
        first = self.fits[0]
        return None if isinstance(first.plane, str) else first.sentence


def token_ratios(trials: pd.DataFrame) -> list[TokenRatio]:
    """Return the ladders in which any of the measures is known."""
    found = []
    for own in ladders_of(trials):
        learnt = own.trials["test_loss"].le(learnt_loss(own.trials["outputs"]))
        rows = own.trials[learnt]
        if any(rows[measure.column].notna().any() for measure in MEASURES):
            fits = [_fitted(own.key, measure, rows) for measure in MEASURES]
            left_out = _left_out(own, tuple(own.trials.loc[~learnt, "trial_id"]))
            found.append(TokenRatio(own.key, own.settings, rows, fits, left_out))
    return found


def _left_out(ladder: LadderRows, unlearnt: tuple[str, ...]) -> Sentence:
    """State which trials of a ladder enter, and how many do not."""

    def number(name: str, value: float, how: str, trials: tuple[str, ...], style: str) -> Number:
        return Number(f"ratio:{ladder.key}:filter:{name}", value, how, trials, style)

    unfinished = ladder.unfinished
    failed = "ok trials of configurations in which a seed failed, or that lack a figure"
    above = f"trials with test_loss above {LEARNT:g}·log(outputs)"
    parts = {
        "share": number("share", LEARNT, "largest test_loss over log(outputs)", (), "sig3"),
        "unfinished": number("unfinished", len(unfinished), failed, unfinished, "int"),
        "unlearnt": number("unlearnt", len(unlearnt), above, unlearnt, "int"),
    }
    return Sentence(
        "Trials: of configurations in which no seed failed, at a held-out loss of at most {share}"
        " times a uniform guess's, since a model that has learnt nothing is as stable as can be."
        " Left out: {unfinished} for a failed seed or a figure that is missing, {unlearnt} for"
        " their loss.",
        parts,
    )


def answer_sentences_on_ratio(ladders: Sequence[TokenRatio]) -> list[Sentence]:
    """Return what the answer of the page says: the first measure of each ladder with a fit, with
    the ladder's settings in front where there are several."""
    told = [(own.settings, own.answer) for own in ladders]
    known = [(settings, answer) for settings, answer in told if answer is not None]
    if len(known) < 2:
        return [answer for _, answer in known]
    return [
        Sentence(f"{{settings}}: {answer.template}", {"settings": settings, **answer.parts})
        for settings, answer in known
    ]


def _fitted(key: str, measure: Followed, rows: pd.DataFrame) -> Fitted:
    n, d, y, loss = (
        rows[column].to_numpy(float) for column in ("p", "tokens_seen", measure.column, "test_loss")
    )
    plane = fit_plane(n, d, y, loss)
    if isinstance(plane, str):
        parts = {"measure": measure.short, "why": plane}
        return Fitted(measure, plane, Sentence("{measure}: no fit, {why}.", parts), ())
    trials = tuple(rows["trial_id"][plane.used])
    return Fitted(measure, plane, _sentence(key, measure, plane, trials), trials)


def _sentence(key: str, measure: Followed, plane: Plane, trials: tuple[str, ...]) -> Sentence:
    """State what a measure follows, and whether a larger model on fewer tokens is smoother."""
    parts: dict[str, Any] = {"measure": measure.short}

    def change(name: str, exponent: Interval, how: str) -> str:
        for end, value in zip(("value", "low", "high"), exponent, strict=True):
            style = "growth" if end == "value" else "growth end"
            number = Number(
                f"ratio:{key}:{measure.column}:{name}:{end}",
                10**value - 1,
                f"10^b − 1, b: {end} of the exponent {how}, least squares of logarithms over cells",
                trials,
                style,
            )
            parts[f"{name}_{end}"] = number
        return f"{{{name}_value}} ({{{name}_low}} to {{{name}_high}})"

    text = "In a single pass, " + FOLLOWS[plane.follows]
    text += ": ten times the parameters change it by "
    text += change("size", plane.by_size, "of p at given tokens")
    text += ", ten times the tokens by "
    text += change("tokens", plane.by_tokens, "of tokens_seen at given p") + "."
    if plane.at_loss is not None:
        text += " At a given loss, ten times the parameters (and so fewer tokens) change it by "
        text += change("loss", plane.at_loss, "of p at given test_loss")
        text += f": {_at_loss(measure, plane.at_loss)}."
    return Sentence(text, parts)


def _at_loss(measure: Followed, exponent: Interval) -> str:
    """Return what the sign of the exponent at a given loss means."""
    if exponent.low <= 0 <= exponent.high:
        return "no difference that can be told from none"
    smoother = measure.robust * exponent.value > 0
    return "the larger model is more robust" if smoother else "the larger model is less robust"
