"""Define the axes of the charts: a column of the trials, its title and its scale."""

from typing import Any, NamedTuple

import pandas as pd

from reports.measures import STABILITY


class Axis(NamedTuple):
    """One axis. `label` is its name in a list of choices."""

    column: str
    title: str
    log: bool = True
    label: str = ""


PARAMETERS = Axis("p", "p, trainable parameters")
P_OVER_ND = [
    Axis("x_law", "p / (n·d), d ambient", label="numbers in one input (ambient)"),
    Axis(
        "p_over_nd_participation",
        "p / (n·d), d the PCA participation ratio",
        label="PCA participation ratio",
    ),
    Axis("p_over_nd_twonn", "p / (n·d), d by TwoNN", label="intrinsic dimension, TwoNN"),
    Axis(
        "p_over_nd_mle",
        "p / (n·d), d by Levina and Bickel",
        label="intrinsic dimension, Levina and Bickel",
    ),
]
P_OVER_TOKENS = Axis("params_per_token", "parameters per distinct token, p / n")
STABILITY_AXIS = Axis(STABILITY, "stability S, data units (upper estimate)")
ACCURACY = [
    Axis("test_accuracy", "held-out accuracy", log=False, label="accuracy"),
    Axis("bits_per_byte", "bits per byte of held-out text", log=False, label="bits per byte"),
    Axis(
        "last_word_accuracy",
        "share of texts whose last word is predicted",
        log=False,
        label="last words",
    ),
]

GRID = {"showgrid": True, "gridcolor": "#eee"}
"""The grid lines of every axis."""


def drawable(trials: pd.DataFrame, x: Axis, y: Axis) -> pd.Series:
    """Return which trials have a place on these axes."""
    on_y = trials[y.column].gt(0) if y.log else trials[y.column].notna()
    return trials[x.column].gt(0) & on_y


def axis_layout(axis: Axis, trials: pd.DataFrame) -> dict[str, Any]:
    """Return plotly's layout of the axis for these trials."""
    layout: dict[str, Any] = {
        "title": {"text": axis.title},
        "type": "log" if axis.log else "linear",
        **GRID,
    }
    if axis.log:
        layout |= {"exponentformat": "power", "dtick": _ticks(trials[axis.column])}
    return layout


def _ticks(values: pd.Series) -> str | int:
    """Label 1, 2 and 5 of each decade on a short axis, decades on a long one."""
    positive = values[values > 0]
    return "D2" if positive.max() / positive.min() < 100 else 1
