"""The section "Sensitivity against tokens per parameter": what robustness follows along a ladder.

Fits and sentences: `reports.token_ratio`. Rows: `reports.ladders`.
"""

from typing import Any, NamedTuple

from reports.charts.chart import Chart
from reports.charts.token_ratio import loss_chart, ratio_chart
from reports.evidence import Evidence
from reports.fits.plane import RULE, Plane, held_out
from reports.law import Fits
from reports.numbers import Number, Sentence
from reports.sections.section import Section, fill
from reports.token_ratio import Fitted, TokenRatio

KEY = "token_ratio"


class Shown(NamedTuple):
    """One ladder on the page: its settings, the keys of its charts, a sentence for each measure,
    and what each fit rests on."""

    settings: str
    charts: list[str]
    sentences: list[Sentence]
    basis: list[Sentence]

    def numbers(self) -> list[Number]:
        return [n for sentence in (*self.sentences, *self.basis) for n in sentence.numbers()]


def section(evidence: Evidence, fits: Fits) -> Section | None:
    if not fits.ratios:
        return None

    shown = []
    figures: dict[str, Chart] = {}
    for ladder in fits.ratios:
        charts = {
            f"{KEY}{ladder.key}": ratio_chart(ladder),
            f"{KEY}{ladder.key}_loss": loss_chart(ladder),
        }
        own = {key: chart for key, chart in charts.items() if chart is not None}
        figures |= own
        basis = [_basis(ladder, fitted) for fitted in ladder.fits]
        sentences = [fitted.sentence for fitted in ladder.fits]
        known = [ladder.left_out, *(b for b in basis if b is not None)]
        shown.append(Shown(ladder.settings, list(own), sentences, known))

    html = fill("token_ratio.html.j2", ladders=shown, figures=figures, rule=RULE)
    numbers = [number for own in shown for number in own.numbers()]
    return Section(KEY, "Sensitivity against tokens per parameter", html, numbers, figures)


def _basis(ladder: TokenRatio, fitted: Fitted) -> Sentence | None:
    """State cells, agreement of the draws, and how the forms foresee the largest cells."""
    plane, column = fitted.plane, fitted.measure.column
    if not isinstance(plane, Plane):
        return None

    def number(name: str, value: float, how: str, style: str) -> Number:
        return Number(f"ratio:{ladder.key}:{column}:{name}", value, how, fitted.trials, style)

    parts: dict[str, Any] = {
        "measure": fitted.measure.short,
        "trials": number("trials", len(fitted.trials), "trials with the measure", "int"),
        "cells": number("cells", plane.cells, "distinct (p, tokens_seen)", "int"),
        "share": number("share", plane.share, "draws of both exponents that agree", "percent"),
    }
    text = (
        "{measure}: {trials} trials at {cells} pairs of size and tokens; {share} of the draws of"
        " both exponents agree on the likeliest answer."
    )
    used = ladder.trials[ladder.trials[column].gt(0)]
    columns = ("p", "tokens_seen", column)
    errors, out = held_out(*(used[name].to_numpy(float) for name in columns))
    if not errors:
        return Sentence(text + " Too few pairs for a held-out error.", parts)

    parts["out"] = number("out", out, "cells of most p·tokens, left out and predicted", "int")
    told = []
    for i, (form, error) in enumerate(sorted(errors.items(), key=lambda own: own[1])):
        how = f"exp(RMS log error) − 1 of {form} on the cells of most p·tokens"
        parts[f"error{i}"] = number(f"held-out {form}", error - 1, how, "percent")
        parts[f"form{i}"] = form
        told.append(f"{{error{i}}} by {{form{i}}}")
    text += " Fitted without the {out} pairs of most compute, it is missed there by "
    return Sentence(text + ", ".join(told) + ".", parts)
