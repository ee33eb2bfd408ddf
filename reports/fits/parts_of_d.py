"""How stability moves with each part of an input's dimension: with the tokens of a window and with
the numbers of a token, apart.

log S = a + b·log p − b_n·log n − b_t·log context − b_i·log d_in, d = context·d_in. The law knows d
alone, and so predicts b_t = b_i = b; it is a bound and requires neither.
"""

import json
from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.fits.cells import cells_of, members_of
from reports.fits.clustered import ClusteredFit
from reports.fits.collapse import LEAST_FREEDOM, MIN_CURVES, ratio_of
from reports.fits.random_slope import LEVEL

PARTS = ("n", "context", "d_in")

Interval = tuple[float, float, float]
"""An estimate and the ends of its interval, NaN where there is none."""


class PartsOfD(NamedTuple):
    """b, and for n, context and d_in the exponent, its ratio to b, and its difference from b with a
    simultaneous interval. `failure`: why there are no intervals, or nothing at all."""

    b: float
    exponents: dict[str, float]
    ratios: dict[str, float]
    differences: dict[str, Interval]
    cells: int
    curves: int
    trials: tuple[str, ...]
    failure: str = ""


def fit_parts(rows: pd.DataFrame, column: str) -> PartsOfD | None:
    """Fit the exponents over rows of one recipe; None where context or d_in does not vary.

    Objective and intervals as in `collapse.py`: least squares on logarithms, every trial the same
    weight, errors clustered by combination of n, context and d_in.
    """
    used = rows[rows[column] > 0]
    parts = [_parts(str(text)) for text in used["config_json"].unique()]
    named = [both for both in parts if both is not None]
    if len(named) < len(parts) or any(len({both[i] for both in named}) < 2 for i in (0, 1)):
        return None

    cells = cells_of(used, column)
    of_cell = used.drop_duplicates("cell").set_index("cell")["config_json"].map(_parts)
    context, d_in = (np.array([of_cell[name][i] for name in cells.index], float) for i in range(2))
    sizes = {"n": cells["n"].to_numpy(float), "context": context, "d_in": d_in}
    curves = members_of(cells["curve"])
    design = np.column_stack(
        [
            np.ones(len(cells)),
            np.log(cells["p"].to_numpy(float)),
            *(-np.log(sizes[part]) for part in PARTS),
        ]
    )
    trials = tuple(used["trial_id"])
    nothing = PartsOfD(float("nan"), {}, {}, {}, len(cells), len(curves), trials)
    if len(cells) <= design.shape[1] or np.linalg.matrix_rank(design) < design.shape[1]:
        why = f"{len(cells)} cells on {len(curves)} curves do not identify the exponents"
        return nothing._replace(failure=why)

    fit = ClusteredFit(design, cells["log_y"].to_numpy(), cells["rows"].to_numpy(float), curves)
    b = float(fit.coefficients[1])
    exponents = {part: float(fit.coefficients[2 + i]) for i, part in enumerate(PARTS)}
    found = nothing._replace(
        b=b,
        exponents=exponents,
        ratios={part: ratio_of(exponent, b) for part, exponent in exponents.items()},
    )
    if len(curves) < MIN_CURVES:
        why = f"{len(curves)} combinations are too few for an interval (at least {MIN_CURVES})"
        return found._replace(failure=why)
    differences = {part: _difference(fit, 2 + i) for i, part in enumerate(PARTS)}
    return found._replace(differences=differences)


def _parts(config_json: str) -> tuple[float, float] | None:
    """Return context and d_in; None for a configuration that lacks one of them."""
    config = json.loads(config_json)
    if "context" not in config or "d_in" not in config:
        return None
    return config["context"], config["d_in"]


def _difference(fit: ClusteredFit, coefficient: int) -> Interval:
    """Return an exponent less b. The intervals of all parts hold together at LEVEL."""
    of = [0.0] * (2 + len(PARTS))
    of[1], of[coefficient] = -1.0, 1.0
    contrast = fit.contrast(of)
    value = float(contrast.value)
    if contrast.of_design < LEAST_FREEDOM:
        return value, float("nan"), float("nan")
    half = float(contrast.half_width(1 - (1 - LEVEL) / len(PARTS)))
    return value, value - half, value + half
