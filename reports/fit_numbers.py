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
        f"mean over curves of the least-squares slope of log {MADE_OF.get(column, column)} against"
        " log p, cells past the onset"
    )

    def number(name: str, value: float, style: str) -> Number:
        return Number(f"{key}:{name}", value, f"{name}; {how}", slope.trials, style)

    return {
        "b": number("slope", slope.slope, "signed"),
        "low": number("low", slope.low, "signed"),
        "high": number("high", slope.high, "signed"),
        "cells": number("cells", slope.cells, "int"),
        "curves": number("curves", slope.curves, "int"),
        "held_out": number("held-out", slope.held_out, "factor"),
        "smallest": number("smallest", slope.smallest, "signed"),
        "largest": number("largest", slope.largest, "signed"),
        "dropped": number("dropped", slope.dropped, "int"),
    }


def collapse_numbers(test: KindCollapse) -> dict[str, Number]:
    """Return the exponents, their differences with the ends of their intervals, the held-out
    errors, what each form gains on p/(n·d), and the power of one collapse test. Figures that the
    test could not determine are left out."""
    collapse = test.collapse
    figures = {
        "b": collapse.b,
        "b_n": collapse.b_n,
        "b_d": collapse.b_d,
        "cells": collapse.cells,
        "curves": collapse.curves,
    }
    intervals = {"b_n - b": collapse.difference_n, "b_d - b": collapse.difference_d}
    intervals |= {f"gain {form}": gain for form, gain in collapse.gains.items()}
    for name, (value, low, high) in intervals.items():
        figures |= {name: value, f"{name} low": low, f"{name} high": high}
    figures |= {f"error {form}": error for form, error in collapse.errors.items()}
    figures["power"] = collapse.power

    how = (
        "least squares on log stability_attack_mean against log p, log n, log d over cells past the"
        " onset and below the noise"
    )
    key = f"collapse:{test.kind}:{test.settings}"
    styles = {"cells": "int", "curves": "int", "power": "percent"}
    numbers = {}
    for name, value in figures.items():
        if np.isfinite(value):
            style = styles.get(name, "sig3" if name.startswith(("error", "gain")) else "signed")
            numbers[name] = Number(f"{key}:{name}", value, f"{name}; {how}", collapse.trials, style)
    return numbers
