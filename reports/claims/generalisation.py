"""C10: robustness goes with generalisation. Rank-correlate stability and test accuracy over cells,
given p."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from reports.claims.claim import UNTESTED, Finding, Statement
from reports.evidence import Evidence
from reports.fits.pooled_effect import PooledEffect, pool_effects
from reports.law import Fits
from reports.measures import STABILITY
from reports.numbers import Number, Sentence

MIN_CELLS = 6
WORDS = {
    "supported": "they go together, size held fixed",
    "contradicted": "one falls as the other grows, size held fixed",
    "undecided": "undecided",
}
"""Verdict → its words in a sentence."""
FOLLOWS_SIZE = 1e-9
"""Share of the ranks' variance that p must leave over: below it nothing is left to correlate."""

STATEMENT = Statement(
    "C10",
    "Robustness goes with generalisation",
    "popular accounts",
    "Both follow size, so size is held fixed: Spearman's partial rank correlation of stability and"
    " held-out accuracy given p, over at least 6 cells of one kind, at one n and d, that met their"
    " stop rule; pure noise is left out. The sets of cells are pooled by the mean of Fisher's z;"
    " sets of one family count as dependent. Supported if the pooled 95 % interval lies"
    " above 0, contradicted if it lies below, undecided otherwise. A correlation says nothing about"
    " a cause.",
)


class Correlation(NamedTuple):
    """The rank correlation of two figures over K cells: plain, and given p. `partial` is NaN where
    p alone decides the order of one of them."""

    plain: float
    partial: float
    cells: int

    @property
    def z(self) -> float:
        """Return Fisher's z of the partial correlation."""
        return float(np.arctanh(np.clip(self.partial, -0.999, 0.999)))

    @property
    def error(self) -> float:
        """Return z's standard error: sqrt(1.06/(K − 4)), Fieller et al. 1957, one cell fewer for
        the variable held fixed."""
        return float(np.sqrt(1.06 / (self.cells - 4)))


def check(evidence: Evidence, fits: Fits) -> Finding:
    trials = evidence.trials
    several_classes = trials["outputs"].gt(1)
    pure_noise = trials["sigma2"].eq(1.0) | (several_classes & trials["eta"].eq(1.0))
    measured = trials[STABILITY].notna() & trials["test_accuracy"].notna()
    trials = trials[trials["whole"] & ~pure_noise & measured]

    sentences = []
    known = []
    used = []
    for _, rows in trials.groupby(["kind", "n", "d_ambient"]):
        cells = rows.groupby("cell")[[STABILITY, "test_accuracy", "p"]].mean()
        if len(cells) < MIN_CELLS or (cells.nunique() < 2).any():
            continue
        found = correlation(*(cells[c].to_numpy(float) for c in (STABILITY, "test_accuracy", "p")))
        sentences.append(_sentence(rows, found))
        if np.isfinite(found.partial):
            known.append((found, str(rows["family"].iloc[0])))
            used += rows["trial_id"].tolist()
    if not sentences:
        return UNTESTED
    if not known:
        alone = Sentence(
            "Stability and accuracy follow p alone: with p held fixed, nothing is left."
        )
        return Finding("undecided", [alone, *sentences])

    pooled = pool_effects(
        [found.z for found, _ in known],
        [found.error for found, _ in known],
        [np.inf] * len(known),
        [family for _, family in known],
    )
    verdict = "undecided"
    if pooled.low > 0:
        verdict = "supported"
    elif pooled.high < 0:
        verdict = "contradicted"
    return Finding(verdict, [_pooled_sentence(pooled, tuple(used), verdict), *sentences])


def correlation(x: np.ndarray, y: np.ndarray, p: np.ndarray) -> Correlation:
    """Return Spearman's correlation of x and y (K,), plain and given p (K,). Ties share their mean
    rank."""
    a, b, size = (rankdata(v) - (len(x) + 1) / 2 for v in (x, y, p))
    plain = float(a @ b / np.sqrt((a @ a) * (b @ b)))
    left_a, left_b = a, b
    if size @ size > 0:
        left_a = a - size * (a @ size) / (size @ size)
        left_b = b - size * (b @ size) / (size @ size)
    if left_a @ left_a <= FOLLOWS_SIZE * (a @ a) or left_b @ left_b <= FOLLOWS_SIZE * (b @ b):
        return Correlation(plain, float("nan"), len(x))
    partial = float(left_a @ left_b / np.sqrt((left_a @ left_a) * (left_b @ left_b)))
    return Correlation(plain, partial, len(x))


def _pooled_sentence(pooled: PooledEffect, trials: tuple[str, ...], verdict: str) -> Sentence:
    """State the pooled correlation. The interval is transformed back from Fisher's z."""
    how = "mean of Fisher's z of the partial rank correlations, transformed back"

    def number(name: str, value: float, style: str = "signed") -> Number:
        return Number(f"C10:pooled:{name}", value, f"{name}; {how}", trials, style)

    parts = {
        "rho": number("rho", float(np.tanh(pooled.effect))),
        "low": number("low", float(np.tanh(pooled.low))),
        "high": number("high", float(np.tanh(pooled.high))),
        "sets": number("sets", pooled.kinds, "int"),
        "word": WORDS[verdict],
    }
    return Sentence(
        "Given p, the pooled rank correlation is {rho} ({low} to {high}) over {sets} sets of cells:"
        " {word}.",
        parts,
    )


def _sentence(rows: pd.DataFrame, found: Correlation) -> Sentence:
    """State the correlations over the cells of one kind, n and d."""
    kind = rows["kind"].iloc[0]
    n = int(rows["n"].iloc[0])
    d = int(rows["d_ambient"].iloc[0])
    trials = tuple(rows["trial_id"])

    def number(name: str, value: float, how: str, style: str) -> Number:
        return Number(f"C10:{kind}:{n}:{d}:{name}", value, how, trials, style)

    how = "Spearman, stability_attack_mean and test_accuracy, means over the seeds of each cell"
    parts = {
        "kind": kind,
        "n": number("n", n, "column n", "int"),
        "d": number("d", d, "column d_ambient", "int"),
        "rho": number("rho", found.plain, how, "signed"),
        "cells": number("cells", found.cells, "number of cells", "int"),
    }
    text = "{kind}, n = {n}, d = {d}: rank correlation {rho} over {cells} cells; given p "
    if np.isfinite(found.partial):
        parts["partial"] = number("partial", found.partial, f"{how}; ranks given p", "signed")
        return Sentence(text + "{partial}.", parts)
    return Sentence(text + "nothing is left: p alone orders them.", parts)
