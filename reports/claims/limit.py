"""C6: MNIST needs 1e7 to 1e9 parameters for 100 %. Where does the test error level off, and what
is it at 1e7?"""

import numpy as np
import pandas as pd

from reports.claims.claim import (
    ALL_DIGITS,
    UNTESTED,
    Finding,
    Statement,
    clean_digits,
    verdict_over,
)
from reports.evidence import Evidence
from reports.fits.saturation import Saturation, fit_saturation
from reports.law import Fits
from reports.numbers import Number, Sentence

FROM, TO = 1e7, 1e9

STATEMENT = Statement(
    "C6",
    "MNIST needs 1e7 to 1e9 parameters for 100 %",
    "popular accounts",
    "Held-out error against p at the largest n of each kind, without injected noise: e = e_inf +"
    " A·p^(−α), α from 0.05 to 3. Contradicted if, with all 60 000 digits, a size below 1e7 has"
    " every held-out digit right in every seed, or the whole interval of e_inf, its α not at a"
    " bound, lies above the error of one held-out digit. Supported if a size from 1e7 to 1e9 is the"
    " smallest at which every held-out digit is right. An extrapolated value says from which sizes"
    " and supports nothing.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    digits = clean_digits(evidence.trials)
    digits = digits[digits["adversary"].eq("none") & digits["test_n"].notna()]
    largest = digits[digits["n"].eq(digits.groupby("kind")["n"].transform("max"))]
    found = [_limit(rows) for _, rows in largest.groupby("curve", sort=False)]
    found = [f for f in found if f is not None]
    return (
        Finding(verdict_over(verdict for _, verdict in found), [sentence for sentence, _ in found])
        if found
        else UNTESTED
    )


def _limit(rows: pd.DataFrame) -> tuple[Sentence, str] | None:
    """One curve's line; None when it has too few sizes and none of them is without error."""
    cells = (
        rows.assign(error=1 - rows["test_accuracy"])
        .groupby("p")
        .agg(error=("error", "mean"), rows=("error", "size"))
        .sort_index()
    )
    flawless = cells.index[cells["error"].le(0)]
    whole = bool(rows["n"].ge(ALL_DIGITS).all())
    one_digit = 1 / float(rows["test_n"].max())
    used = cells[cells["error"].gt(0)]
    fit = fit_saturation(
        used.index.to_numpy(float), used["error"].to_numpy(), used["rows"].to_numpy(float)
    )
    ids, key = tuple(rows["trial_id"]), f"C6:{rows['curve'].iloc[0]}"
    parts = {
        "kind": rows["kind"].iloc[0],
        "n": Number(f"{key}:n", int(rows["n"].iloc[0]), "column n", ids, "int"),
    }
    if len(flawless):
        first = float(flawless[0])
        verdict = (
            "supported"
            if FROM <= first <= TO
            else "contradicted"
            if first < FROM and whole
            else "undecided"
        )
        parts |= {
            "first": Number(
                f"{key}:first", first, "smallest p with test_accuracy = 1 in every seed", ids, "int"
            ),
            "verdict": verdict,
        }
        return (
            Sentence(
                "{kind}, n = {n}: every held-out digit right at p = {first}: {verdict}.", parts
            ),
            verdict,
        )
    if fit is None:
        return None
    levels_off = fit.asymptote_interval()[0] > one_digit and not fit.at_bound
    verdict = "contradicted" if whole and levels_off else "undecided"
    return _sentence(fit, used, key, ids, parts | {"verdict": verdict}), verdict


def _sentence(
    fit: Saturation, used: pd.DataFrame, key: str, ids: tuple[str, ...], parts: dict
) -> Sentence:
    how = (
        "1 − test_accuracy = e_inf + A·p^−α, least squares on relative errors of cells, variable"
        " projection"
    )
    (low, high), (at, at_low, at_high) = fit.asymptote_interval(), fit.at(FROM)

    def number(name: str, value: float, style: str = "percent2") -> Number:
        return Number(f"{key}:{name}", value, f"{name}; {how}", ids, style)

    smallest, largest = float(used.index.min()), float(used.index.max())
    parts = parts | {
        "limit": number("asymptote", fit.asymptote),
        "low": number("asymptote low", low),
        "high": number("asymptote high", high),
        "alpha": number("exponent", fit.exponent, "sig3"),
        "miss": number("largest miss", float(np.exp(fit.largest_miss)), "sig3"),
        "at": number("at 1e7", at),
        "at_low": number("at 1e7 low", at_low),
        "at_high": number("at 1e7 high", at_high),
        "stated": number("at", FROM, "sig3"),
        "cells": number("cells", len(used), "int"),
        "from": Number(f"{key}:from", smallest, "smallest p", ids, "int"),
        "to": Number(f"{key}:to", largest, "largest p", ids, "int"),
    }
    text = "{kind}, n = {n}: error levels off at {limit} ({low} to {high}), exponent {alpha}; "
    text += "at p = {stated} it is {at} ({at_low} to {at_high})"
    beyond = ", extrapolated from" if FROM > largest else ", fitted to"
    bound = "; the exponent is at its bound, so the level is not identified" if fit.at_bound else ""
    return Sentence(
        text
        + beyond
        + " {cells} sizes, p = {from} to {to}, none missed by more than a factor {miss}"
        + bound
        + ": {verdict}.",
        parts,
    )
