"""Fits as numbers that know the rows behind them."""

import numpy as np

from reports.fits.slope import Slope
from reports.law import KindCollapse
from reports.measures import LOWER, MEAN
from reports.numbers import Number

MADE_OF = {
    LOWER: "lip_lower_pairs (lip_lower_grad for a kind with rows that lack it)",
    MEAN: "lip_mean_jacobian (lip_mean_grad for a kind with rows that lack it)",
}


def slope_numbers(key: str, slope: Slope, column: str) -> dict[str, Number]:
    """The figures of a slope as numbers, by field name (slope as b)."""
    how = (
        f"least squares on log {MADE_OF.get(column, column)} against log p with one intercept per"
        " curve, cells past the onset"
    )

    def number(name: str, value: float, style: str) -> Number:
        return Number(f"{key}:{name}", value, f"{name}; {how}", slope.trials, style)

    return {
        "b": number("slope", slope.slope, "signed"),
        "low": number("low", slope.low, "signed"),
        "high": number("high", slope.high, "signed"),
        "cells": number("cells", slope.cells, "int"),
        "curves": number("curves", slope.curves, "int"),
        "held_out": number("held-out", slope.held_out, "sig3"),
        "smallest": number("smallest", slope.smallest, "signed"),
        "largest": number("largest", slope.largest, "signed"),
        "dropped": number("dropped", slope.dropped, "int"),
    }


def collapse_numbers(found: KindCollapse) -> dict[str, Number]:
    """Exponents, ratios with their ends, and held-out errors of one collapse test; what was not
    found is left out."""
    c = found.collapse
    how = (
        "least squares on log stability_attack_mean against log p, log n, log d over cells past the"
        " onset and below the noise"
    )
    values = {"b": c.b, "b_n": c.b_n, "b_d": c.b_d, "cells": c.cells, "curves": c.curves}
    for name, ratio in (("b_n/b", c.ratio_n), ("b_d/b", c.ratio_d)):
        values |= {name: ratio[0], f"{name} low": ratio[1], f"{name} high": ratio[2]}
    values |= {f"error {form}": error for form, error in c.errors.items()}
    styles = {"b": "signed", "b_n": "signed", "b_d": "signed", "cells": "int", "curves": "int"}
    key = f"collapse:{found.kind}:{found.settings}"
    return {
        name: Number(f"{key}:{name}", value, f"{name}; {how}", c.trials, styles.get(name, "sig3"))
        for name, value in values.items()
        if np.isfinite(value)
    }
