"""C10: robustness goes with generalisation. Rank correlation of stability and test accuracy over
cells."""

import numpy as np
from scipy.stats import rankdata

from reports.claims.claim import UNTESTED, Finding, Statement, verdict_over
from reports.evidence import Evidence
from reports.fits.slope import LEVEL, REPLICATES, SEED
from reports.law import Fits
from reports.measures import STABILITY
from reports.numbers import Number, Sentence

MIN_CELLS = 6

STATEMENT = Statement(
    "C10",
    "Robustness goes with generalisation",
    "popular accounts",
    "Spearman's rank correlation of stability and held-out accuracy over the cells of one kind at"
    " one n and d that met their stop rule, pure noise left out; at least 6 cells. Supported if"
    " every interval lies above 0, contradicted if one lies wholly below, undecided otherwise. Both"
    " may follow size: a correlation says nothing of a cause.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    t = evidence.trials
    # pure noise, of ±1 targets or classes
    guessed = t["sigma2"].eq(1.0) | (t["outputs"].gt(1) & t["eta"].eq(1.0))
    t = t[t["whole"] & ~guessed & t[STABILITY].notna() & t["test_accuracy"].notna()]
    found, verdicts = [], []
    for _, rows in t.groupby(["kind", "n", "d_ambient"]):
        kind, n, d = rows["kind"].iloc[0], int(rows["n"].iloc[0]), int(rows["d_ambient"].iloc[0])
        cells = rows.groupby("cell")[[STABILITY, "test_accuracy"]].mean()
        if len(cells) < MIN_CELLS or (cells.nunique() < 2).any():
            continue
        rho, low, high = rank_correlation(
            cells[STABILITY].to_numpy(), cells["test_accuracy"].to_numpy()
        )
        verdict = "supported" if low > 0 else "contradicted" if high < 0 else "undecided"
        key, ids = f"C10:{kind}:{n}:{d}", tuple(rows["trial_id"])
        how = "Spearman, stability_attack_mean and test_accuracy, means over the seeds of each cell"
        parts = {
            "kind": kind,
            "n": Number(f"{key}:n", n, "column n", ids, "int"),
            "d": Number(f"{key}:d", d, "column d_ambient", ids, "int"),
            "rho": Number(f"{key}:rho", rho, how, ids, "signed"),
            "low": Number(f"{key}:low", low, f"{how}; bootstrap over cells", ids, "signed"),
            "high": Number(f"{key}:high", high, f"{how}; bootstrap over cells", ids, "signed"),
            "cells": Number(f"{key}:cells", len(cells), "number of cells", ids, "int"),
            "word": {
                "supported": "together",
                "contradicted": "one against the other",
                "undecided": "no sign",
            }[verdict],
        }
        found.append(
            Sentence(
                "{kind}, n = {n}, d = {d}: rank correlation {rho} ({low} to {high}) over {cells}"
                " cells: {word}.",
                parts,
            )
        )
        verdicts.append(verdict)
    return Finding(verdict_over(verdicts), found) if found else UNTESTED


def rank_correlation(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Spearman's ρ of x and y (K,) with its interval's ends: percentile bootstrap over the K pairs.

    Ties share their mean rank; draws in which one side is constant are left out.
    """
    drawn = np.random.default_rng(SEED).integers(len(x), size=(REPLICATES, len(x)))
    pairs = np.concatenate([np.arange(len(x))[None, :], drawn])
    ranks = [rankdata(side[pairs], axis=1) for side in (x, y)]
    a, b = (r - r.mean(axis=1, keepdims=True) for r in ranks)
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    rho = (a * b).sum(1)[scale > 0] / scale[scale > 0]
    low, high = np.quantile(rho[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(rho[0]), float(low), float(high)
