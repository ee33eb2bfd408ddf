"""Turn fits into numbers that know the rows behind them."""

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
    """Return the figures of a slope as numbers, by field name (slope as b)."""
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


def collapse_numbers(test: KindCollapse) -> dict[str, Number]:
    """Return the exponents, the ratios with the ends of their intervals, and the held-out errors of
    one collapse test. Figures that the test could not determine are left out."""
    collapse = test.collapse
    figures = {
        "b": collapse.b,
        "b_n": collapse.b_n,
        "b_d": collapse.b_d,
        "cells": collapse.cells,
        "curves": collapse.curves,
    }
    for name, (ratio, low, high) in (("b_n/b", collapse.ratio_n), ("b_d/b", collapse.ratio_d)):
        figures |= {name: ratio, f"{name} low": low, f"{name} high": high}
    figures |= {f"error {form}": error for form, error in collapse.errors.items()}

    how = (
        "least squares on log stability_attack_mean against log p, log n, log d over cells past the"
        " onset and below the noise"
    )
    key = f"collapse:{test.kind}:{test.settings}"
    styles = {"b": "signed", "b_n": "signed", "b_d": "signed", "cells": "int", "curves": "int"}
    numbers = {}
    for name, value in figures.items():
        if np.isfinite(value):
            style = styles.get(name, "sig3")
            numbers[name] = Number(f"{key}:{name}", value, f"{name}; {how}", collapse.trials, style)
    return numbers
