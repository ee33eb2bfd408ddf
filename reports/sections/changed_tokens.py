"""The section "Changed tokens": how the prediction of the next token responds when one token before
it is changed, or when all are blurred.

Responses are shown by the distance of the changed token from the target, as in Khandelwal et al.
2018 (arXiv 1805.04623). Each kind of model is shown by its curve with the most sizes, and among
those by the one with the largest n. A line is one size: the mean over its trials.
"""

from typing import Any, NamedTuple

from reports.charts.chart import Chart, Scale
from reports.charts.token_lines import (
    Curve,
    Line,
    change_values,
    curve_lines,
    lines_chart,
    noise_values,
    shown_curves,
)
from reports.evidence import Evidence
from reports.law import Fits
from reports.numbers import Number, Sentence
from reports.sections.section import Section, fill

KL = "tokens_kl"
ACCURACY = "tokens_accuracy"
NOISE = "tokens_noise"
"""Keys of the charts on the page."""
CHANGES = {
    "replaced": "replaced by another token",
    "swapped": "swapped with the token before it",
    "typo": "mistyped",
}
"""Kind of change in the rows → its name in the list of choices above a chart."""
DISTANCE = Scale("distance from the target, tokens (1: the token just before it)")
RADIUS = Scale("noise on the embeddings of all tokens, data units")


class ChangedTokens(NamedTuple):
    """The charts by key, and one sentence for each kind."""

    figures: dict[str, Chart]
    sentences: list[Sentence]

    def numbers(self) -> list[Number]:
        return [number for sentence in self.sentences for number in sentence.numbers()]


def section(evidence: Evidence, fits: Fits) -> Section | None:
    tokens = changed_tokens(evidence)
    if tokens is None:
        return None
    html = fill("changed_tokens.html.j2", tokens=tokens, figures=tokens.figures)
    return Section("tokens", "Changed tokens", html, tokens.numbers(), tokens.figures)


def changed_tokens(evidence: Evidence) -> ChangedTokens | None:
    """Return the charts and sentences for the rows with `token_changes`; None when there are
    none."""
    curves = shown_curves(evidence.trials)
    if not curves:
        return None
    sentences = [_sentence(curve) for curve in curves]
    return ChangedTokens(
        _figures(curves), [sentence for sentence in sentences if sentence is not None]
    )


def _figures(curves: list[Curve]) -> dict[str, Chart]:
    kl = Scale("KL from the prediction without the change, nats")
    share = Scale("share of next tokens predicted after the change", log=False, share=True)
    figures = {
        KL: _by_distance("Movement of the prediction by distance", curves, "kl", kl, "KL"),
        ACCURACY: _by_distance(
            "Accuracy by distance", curves, "accuracy", share, "the share predicted"
        ),
    }

    noisy = [(curve.name, curve_lines(curve, noise_values)) for curve in curves]
    noisy = [(label, lines) for label, lines in noisy if lines]
    if noisy:
        kl = Scale("KL from the prediction without noise, nats")
        title = "Movement of the prediction by noise"
        figures[NOISE] = lines_chart(title, noisy, RADIUS, kl, "KL", "model")
    return figures


def _by_distance(title: str, curves: list[Curve], column: str, y: Scale, noun: str) -> Chart:
    """Draw a column of token_changes by distance, with one drawing for each curve and change whose
    KL is known."""
    views: list[tuple[str, list[Line]]] = []
    for curve in curves:
        for change, name in CHANGES.items():
            if curve_lines(curve, change_values("kl", change)):
                lines = curve_lines(curve, change_values(column, change))
                views.append((f"{curve.name}: {name}", lines))
    return lines_chart(title, views, DISTANCE, y, noun, "change")


def _sentence(curve: Curve) -> Sentence | None:
    """State how far replacing the last token, or the farthest token in the rows, moves the
    prediction of the smallest and of the largest model."""
    lines = curve_lines(curve, change_values("kl", "replaced"))
    if not lines:
        return None

    distance = Number(
        f"tokens:{curve.kind}:distance",
        lines[0].points[-1].x,
        "largest distance of token_changes",
        style="int",
    )
    parts: dict[str, Any] = {"name": curve.name, **_size_parts(curve, "small", lines[0])}
    near = (
        "{name}: replacing the last token moves the prediction by {small_near} nats at p = {small}"
    )
    far = "; replacing the token {far} places before the target moves it by {small_far}"
    if len(lines) > 1:
        parts |= _size_parts(curve, "large", lines[-1])
        near += " and {large_near} at p = {large}"
        far += " and {large_far}"
    return Sentence(near + far + ".", parts | {"far": distance})


def _size_parts(curve: Curve, size: str, line: Line) -> dict[str, Number]:
    """Return p and the KL at the nearest and the farthest place of one size. size: "small" or
    "large"."""
    key = f"tokens:{curve.kind}:{size}"
    near = line.points[0]
    far = line.points[-1]

    def kl_at(place: str) -> str:
        return f"kl of token_changes, replaced, at the {place} distance; mean over trials"

    return {
        size: Number(f"{key}:p", line.p, f"{size}est p of the curve shown", near.trials, "int"),
        f"{size}_near": Number(f"{key}:near", near.y, kl_at("smallest"), near.trials),
        f"{size}_far": Number(f"{key}:far", far.y, kl_at("largest"), far.trials),
    }
