"""C6: MNIST needs 1e7 to 1e9 parameters for 100 %. Fit where the test error levels off, and what it
is at 1e7."""

from typing import Any

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
from reports.fits.floorless import Rival, floorless_rivals
from reports.fits.saturation import Saturation, fit_saturation
from reports.fits.slope import LEVEL
from reports.law import Fits
from reports.numbers import Number, Sentence

FROM = 1e7
TO = 1e9

STATEMENT = Statement(
    "C6",
    "MNIST needs 1e7 to 1e9 parameters for 100 %",
    "popular accounts",
    "Held-out error against p at the largest n of each kind, without injected noise, fitted by e ="
    " e_inf + A·p^(-α) with α from 0.05 to 3. Contradicted with all 60,000 digits in two cases. At"
    " a size below 1e7 every seed has every held-out digit right. Or a curve has a floor: the whole"
    " interval of e_inf lies above the error of one held-out digit, α is not at a bound, and the"
    " form predicts sizes left out better than each form without a floor, A·p^(-α) and"
    " A·(ln p)^(-k), by a difference whose 95 % interval excludes 0. The level of e_inf's interval"
    " is shared among the curves (Bonferroni), so that a floor is claimed wrongly in at most 5 % of"
    " stores. Supported if a size from 1e7 to 1e9 is the smallest at which every held-out digit is"
    " right. An extrapolated value names the sizes that it comes from, and supports nothing.",
)


def check(evidence: Evidence, fits: Fits) -> Finding:
    digits = clean_digits(evidence.trials)
    digits = digits[digits["adversary"].eq("none") & digits["test_n"].notna()]
    largest = digits[digits["n"].eq(digits.groupby("kind")["n"].transform("max"))]

    sentences = []
    verdicts = []
    curves = [rows for _, rows in largest.groupby("curve", sort=False)]
    level = 1 - (1 - LEVEL) / max(len(curves), 1)
    for rows in curves:
        limit = _limit(rows, level)
        if limit is not None:
            sentence, verdict = limit
            sentences.append(sentence)
            verdicts.append(verdict)
    return Finding(verdict_over(verdicts), sentences) if sentences else UNTESTED


def _limit(rows: pd.DataFrame, level: float) -> tuple[Sentence, str] | None:
    """Return one curve's sentence and verdict; None when the curve has too few sizes to fit and
    none without error. level: that of the interval which decides whether there is a floor."""
    trials = tuple(rows["trial_id"])
    key = f"C6:{rows['curve'].iloc[0]}"
    parts: dict[str, Any] = {
        "kind": rows["kind"].iloc[0],
        "n": Number(f"{key}:n", int(rows["n"].iloc[0]), "column n", trials, "int"),
    }
    all_digits = bool(rows["n"].ge(ALL_DIGITS).all())
    sizes = (
        rows.assign(error=1 - rows["test_accuracy"])
        .groupby("p")
        .agg(error=("error", "mean"), rows=("error", "size"))
        .sort_index()
    )

    flawless = sizes.index[sizes["error"].le(0)]
    if len(flawless):
        first = float(flawless[0])
        how = "smallest p with test_accuracy = 1 in every seed"
        parts["first"] = Number(f"{key}:first", first, how, trials, "int")
        parts["verdict"] = _flawless_verdict(first, all_digits)
        text = "{kind}, n = {n}: every held-out digit right at p = {first}: {verdict}."
        return Sentence(text, parts), parts["verdict"]

    sizes = sizes[sizes["error"].gt(0)]  # leaves out sizes of unknown accuracy
    points = [sizes.index.to_numpy(float), sizes["error"].to_numpy(), sizes["rows"].to_numpy(float)]
    fit = fit_saturation(*points)
    if fit is None:
        return None
    rival = min(floorless_rivals(*points), key=lambda rival: rival.low)
    one_digit = 1 / float(rows["test_n"].max())
    levels_off = fit.asymptote_interval(level)[0] > one_digit and not fit.at_bound
    floor = levels_off and rival.low > 0
    parts["verdict"] = "contradicted" if all_digits and floor else "undecided"
    return _sentence(fit, rival, sizes, key, trials, parts), parts["verdict"]


def _flawless_verdict(first: float, all_digits: bool) -> str:
    """Judge the smallest p at which every held-out digit is right."""
    if FROM <= first <= TO:
        return "supported"
    return "contradicted" if first < FROM and all_digits else "undecided"


def _sentence(
    fit: Saturation,
    rival: Rival,
    sizes: pd.DataFrame,
    key: str,
    trials: tuple[str, ...],
    parts: dict[str, Any],
) -> Sentence:
    """State where the fitted error levels off, what it is at the stated size, and how the rival
    without a floor does."""
    how = (
        "1 - test_accuracy = e_inf + A·p^-α, least squares on relative errors of cells, variable"
        " projection"
    )

    def number(name: str, value: float, style: str = "percent2") -> Number:
        return Number(f"{key}:{name}", value, f"{name}; {how}", trials, style)

    low, high = fit.asymptote_interval()
    at, at_low, at_high = fit.at(FROM)
    smallest = float(sizes.index.min())
    largest = float(sizes.index.max())
    parts = parts | {
        "limit": number("asymptote", fit.asymptote),
        "low": number("asymptote low", low),
        "high": number("asymptote high", high),
        "alpha": number("exponent", fit.exponent, "sig3"),
        "miss": number("largest miss", float(np.exp(fit.largest_miss)), "factor"),
        "at": number("at 1e7", at),
        "at_low": number("at 1e7 low", at_low),
        "at_high": number("at 1e7 high", at_high),
        "stated": number("at", FROM, "sig3"),
        "cells": number("cells", len(sizes), "int"),
        "least": number("least error of a size", float(sizes["error"].min())),
        "rival": rival.name,
        "gain": number("rival's error less the form's", rival.difference, "signed"),
        "gain_low": number("rival's error less the form's, low", rival.low, "signed"),
        "gain_high": number("rival's error less the form's, high", rival.high, "signed"),
        "from": Number(f"{key}:from", smallest, "smallest p", trials, "int"),
        "to": Number(f"{key}:to", largest, "largest p", trials, "int"),
    }

    side = "below" if parts["least"].value < fit.asymptote else "above"
    text = (
        "{kind}, n = {n}: the fitted error levels off at {limit} ({low} to {high}), exponent"
        f" {{alpha}}; the best size measured has {{least}}, {side} the fit's level; "
        "at p = {stated} the fit gives {at} ({at_low} to {at_high})"
    )
    text += ", extrapolated from" if FROM > largest else ", fitted to"
    text += " {cells} sizes, p = {from} to {to}, none missed by more than a factor of {miss}"
    if fit.at_bound:
        text += "; the exponent is at its bound, so the level is not identified"
    text += (
        "; the best form without a floor, {rival}, misses sizes left out by {gain} ({gain_low} to"
        " {gain_high}) more in |log error|"
    )
    if rival.low <= 0:
        text += ", so no floor is claimed"
    return Sentence(text + ": {verdict}.", parts)
