"""C10: robustness goes with generalisation. Rank-correlate stability and test accuracy over
cells."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from reports.claims.claim import UNTESTED, Finding, Statement, verdict_over
from reports.evidence import Evidence
from reports.fits.slope import LEVEL, REPLICATES, SEED
from reports.law import Fits
from reports.measures import STABILITY
from reports.numbers import Number, Sentence

MIN_CELLS = 6
TOGETHER = 100
"""Draws of the bootstrap that are ranked in one go."""
WORDS = {
    "supported": "they grow together",
    "contradicted": "one grows as the other falls",
    "undecided": "sign undecided",
}
"""Verdict → its words in a sentence."""

STATEMENT = Statement(
    "C10",
    "Robustness goes with generalisation",
    "popular accounts",
    "Spearman's rank correlation of stability and held-out accuracy, over at least 6 cells of one"
    " kind, at one n and d, that met their stop rule; pure noise is left out. Supported if every"
    " interval lies above 0, contradicted if one lies wholly below, undecided otherwise. Both may"
    " follow size: a correlation says nothing about a cause.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    trials = evidence.trials
    several_classes = trials["outputs"].gt(1)
    pure_noise = trials["sigma2"].eq(1.0) | (several_classes & trials["eta"].eq(1.0))
    measured = trials[STABILITY].notna() & trials["test_accuracy"].notna()
    trials = trials[trials["whole"] & ~pure_noise & measured]

    sentences = []
    verdicts = []
    for _, rows in trials.groupby(["kind", "n", "d_ambient"]):
        cells = rows.groupby("cell")[[STABILITY, "test_accuracy"]].mean()
        if len(cells) < MIN_CELLS or (cells.nunique() < 2).any():
            continue
        sentence, verdict = _correlation(rows, cells)
        sentences.append(sentence)
        verdicts.append(verdict)
    return Finding(verdict_over(verdicts), sentences) if sentences else UNTESTED


def _correlation(rows: pd.DataFrame, cells: pd.DataFrame) -> tuple[Sentence, str]:
    """State the correlation over the cells of these rows, with its verdict."""
    kind = rows["kind"].iloc[0]
    n = int(rows["n"].iloc[0])
    d = int(rows["d_ambient"].iloc[0])
    trials = tuple(rows["trial_id"])

    rho, low, high = rank_correlation(
        cells[STABILITY].to_numpy(), cells["test_accuracy"].to_numpy()
    )
    if low > 0:
        verdict = "supported"
    elif high < 0:
        verdict = "contradicted"
    else:
        verdict = "undecided"

    def number(name: str, value: float, how: str, style: str) -> Number:
        return Number(f"C10:{kind}:{n}:{d}:{name}", value, how, trials, style)

    how = "Spearman, stability_attack_mean and test_accuracy, means over the seeds of each cell"
    parts = {
        "kind": kind,
        "n": number("n", n, "column n", "int"),
        "d": number("d", d, "column d_ambient", "int"),
        "rho": number("rho", rho, how, "signed"),
        "low": number("low", low, f"{how}; bootstrap over cells", "signed"),
        "high": number("high", high, f"{how}; bootstrap over cells", "signed"),
        "cells": number("cells", len(cells), "number of cells", "int"),
        "word": WORDS[verdict],
    }
    text = (
        "{kind}, n = {n}, d = {d}: rank correlation {rho} ({low} to {high}) over {cells} cells:"
        " {word}."
    )
    return Sentence(text, parts), verdict


def rank_correlation(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Return Spearman's ρ of x and y (K,) with the ends of its interval, a percentile bootstrap
    over the K pairs.

    Ties share their mean rank. Draws in which one side is constant are left out.
    """
    drawn = np.random.default_rng(SEED).integers(len(x), size=(REPLICATES, len(x)))
    pairs = np.concatenate([np.arange(len(x))[None, :], drawn])
    # a few draws at a time, which bounds memory
    rho = np.concatenate(
        [_rho(x, y, pairs[i : i + TOGETHER]) for i in range(0, len(pairs), TOGETHER)]
    )
    low, high = np.quantile(rho[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(rho[0]), float(low), float(high)


def _rho(x: np.ndarray, y: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return Spearman's ρ of each row of `pairs`, the positions of K pairs."""
    ranks = [rankdata(side[pairs], axis=1) for side in (x, y)]
    a, b = (r - r.mean(axis=1, keepdims=True) for r in ranks)
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return (a * b).sum(1)[scale > 0] / scale[scale > 0]
