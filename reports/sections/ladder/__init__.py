"""The section "Compute-optimal ladder": held-out loss of language models trained in a single pass,
against size and tokens.

Rows: `reports.ladders`. N is p. A second fit leaves the embeddings out of N, because the convention
moves the compute exponent (Kaplan et al. 2020 against Hoffmann et al. 2022; Porian et al. 2024
explain the difference).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.charts.chart import Chart
from reports.evidence import Evidence
from reports.fits.budgets import budgets_of
from reports.ladders import ladders_of
from reports.law import Fits
from reports.numbers import Number, Sentence
from reports.sections.ladder.convention import (
    ALL,
    COMPUTE_EXPONENT,
    WITHOUT,
    Convention,
    LadderRuns,
    fit_convention,
    sizes_without_embeddings,
)
from reports.sections.ladder.figure import isoflop_chart
from reports.sections.section import Section, fill


class Ladder(NamedTuple):
    """One ladder: its settings, its fits by convention, its chart under `key`, and its sentences on
    the page. `repeated`: some trial saw tokens more than once."""

    key: str
    settings: str
    intro: Sentence
    conventions: list[Convention]
    moved: Sentence
    extrapolation: Sentence
    repeated: bool
    figure: Chart

    def numbers(self) -> list[Number]:
        sentences = [self.intro, self.moved, self.extrapolation]
        for convention in self.conventions:
            sentences += convention.sentences()
        return [number for sentence in sentences for number in sentence.numbers()]


def section(evidence: Evidence, fits: Fits) -> Section | None:
    shown = ladders(evidence)
    if not shown:
        return None
    numbers = [number for ladder in shown for number in ladder.numbers()]
    figures = {ladder.key: ladder.figure for ladder in shown}
    html = fill("ladder.html.j2", ladders=shown, figures=figures)
    return Section("ladder", "Compute-optimal ladder", html, numbers, figures)


def ladders(evidence: Evidence) -> list[Ladder]:
    """Return every ladder in the store, in alphabetical order of the settings."""
    return [
        _ladder(f"ladder{own.key}", own.settings, own.trials) for own in ladders_of(evidence.trials)
    ]


def _ladder(key: str, settings: str, rows: pd.DataFrame) -> Ladder:
    p = rows["p"].to_numpy(float)
    tokens = rows["tokens_seen"].to_numpy(float)
    runs = LadderRuns(
        tokens,
        loss=rows["test_loss"].to_numpy(float),
        budget=budgets_of(6 * p * tokens),
        trials=tuple(rows["trial_id"]),
    )

    conventions = [fit_convention(key, ALL, p, runs)]
    fewer = sizes_without_embeddings(rows)
    if fewer is not None:
        conventions.append(fit_convention(key, WITHOUT, fewer, runs))

    return Ladder(
        key,
        settings,
        _intro(key, p, runs),
        conventions,
        _moved(conventions),
        _extrapolation(key, p, runs),
        bool((rows["tokens_seen"] > rows["tokens_distinct"]).any()),
        isoflop_chart(rows, conventions),
    )


def _intro(key: str, p: np.ndarray, runs: LadderRuns) -> Sentence:
    def number(name: str, value: float, how: str, style: str = "sig3") -> Number:
        return Number(f"{key}:{name}", float(value), how, runs.trials, style)

    cells = len(set(zip(p, runs.tokens, strict=True)))
    parts = {
        "trials": number(
            "trials", len(p), "ok trials of task text-stream with these settings", "int"
        ),
        "cells": number("cells", cells, "distinct (p, tokens_seen)", "int"),
        "p_min": number("p_min", p.min(), "smallest p"),
        "p_max": number("p_max", p.max(), "largest p"),
        "d_min": number("d_min", runs.tokens.min(), "smallest tokens_seen"),
        "d_max": number("d_max", runs.tokens.max(), "largest tokens_seen"),
        "l_min": number("l_min", runs.loss.min(), "smallest test_loss"),
        "l_max": number("l_max", runs.loss.max(), "largest test_loss"),
    }
    return Sentence(
        "{trials} trials at {cells} pairs of size and tokens: p from {p_min} to {p_max}, {d_min} to"
        " {d_max} tokens, held-out loss {l_min} to {l_max} nats per token.",
        parts,
    )


def _extrapolation(key: str, p: np.ndarray, runs: LadderRuns) -> Sentence:
    most = float((6 * p * runs.tokens).max())
    c_max = Number(f"{key}:c_max", most, "largest 6·p·tokens_seen", runs.trials)
    return Sentence(
        "The largest run took 6·N·D = {c_max} FLOP, and nothing here was checked beyond it. The"
        " held-out error is that of one step up this ladder. E is the loss that remains at these"
        " sizes, not the entropy of text. Another form that fits as well here may predict something"
        " else at ten times the compute.",
        {"c_max": c_max},
    )


def _moved(conventions: list[Convention]) -> Sentence:
    """State how the compute exponent depends on what N counts."""
    fitted = [c for c in conventions if not isinstance(c.fit, str)]
    if len(fitted) < 2:
        return Sentence(
            "The rows give the compute exponent under only one way of counting parameters."
        )
    parts = {}
    for i, convention in enumerate(fitted):
        for end, number in convention.table[COMPUTE_EXPONENT].parts.items():
            parts[f"{end}{i}"] = number
    return Sentence(
        "The compute exponent a depends on what N counts: it is {value0} ({low0} to {high0}) with"
        " all parameters and {value1} ({low1} to {high1}) without the embeddings of tokens and"
        " positions.",
        parts,
    )
