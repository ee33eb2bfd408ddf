"""Define the axes of the charts: a column of the trials, its title and its scale."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.charts.chart import Scale
from reports.measures import STABILITY


class Axis(NamedTuple):
    """One axis. `label` is its name in a list of choices, `value` its name in the page's address,
    `noun` what a caption calls the measure."""

    column: str
    title: str
    log: bool = True
    label: str = ""
    value: str = ""
    noun: str = ""
    share: bool = False

    def named(self) -> str:
        """Return what a caption calls the axis."""
        return self.noun or self.title

    def scale(self) -> Scale:
        return Scale(self.title, self.log, self.share)


PARAMETERS = Axis("p", "p, trainable parameters", noun="p")
P_OVER_ND = [
    Axis("x_law", "p / (n·d), d ambient", label="numbers in one input (ambient)", value="ambient"),
    Axis(
        "p_over_nd_participation",
        "p / (n·d), d the PCA participation ratio",
        label="PCA participation ratio",
        value="participation",
    ),
    Axis(
        "p_over_nd_twonn",
        "p / (n·d), d by TwoNN",
        label="intrinsic dimension, TwoNN",
        value="twonn",
    ),
    Axis(
        "p_over_nd_mle",
        "p / (n·d), d by Levina and Bickel",
        label="intrinsic dimension, Levina and Bickel",
        value="mle",
    ),
]
P_OVER_ND = [axis._replace(noun="p/(n·d)") for axis in P_OVER_ND]
P_OVER_TOKENS = Axis("params_per_token", "parameters per distinct token, p / n", noun="p/n")
STABILITY_AXIS = Axis(STABILITY, "stability S, data units (upper estimate)", noun="stability S")
ACCURACY = [
    Axis(
        "test_accuracy",
        "held-out accuracy",
        log=False,
        label="accuracy",
        value="accuracy",
        noun="held-out accuracy",
        share=True,
    ),
    Axis(
        "bits_per_byte",
        "bits per byte of held-out text",
        log=False,
        label="bits per byte",
        value="bits_per_byte",
        noun="the number of bits per byte",
    ),
    Axis(
        "last_word_accuracy",
        "share of texts whose last word is predicted",
        log=False,
        label="last words",
        value="last_word_accuracy",
        noun="the share of last words predicted",
        share=True,
    ),
]


def drawable(trials: pd.DataFrame, x: Axis, y: Axis) -> pd.Series:
    """Return which trials have a place on these axes."""
    along, up = (trials[axis.column].astype(float) for axis in (x, y))
    placed = pd.Series(np.isfinite(along) & np.isfinite(up), trials.index) & along.gt(0)
    return placed & up.gt(0) if y.log else placed
