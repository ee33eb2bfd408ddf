"""Read which exponent is to be narrowed, and what the rows say about it now.

    question = ask(evidence, "sphere, ±1 target, pure noise")

An exponent is the slope of stability of a kind, named by the kind, or `alpha`, `beta` or `compute`
of the loss surface of `text-stream` rows.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.errors import UserError, did_you_mean
from reports.evidence import Evidence, fit_rows
from reports.fits.random_slope import OWN_CURVES
from reports.fits.scaling import fit_scaling
from reports.fits.slope import Slope
from reports.ladders import TASK, ladders_of
from reports.law import fit_all
from reports.measures import STABILITY
from reports.suggest.surface_design import EXPONENTS, PARAMETERS, Surface


class Question(NamedTuple):
    """An exponent with what the report states of it. `rows`: the trials that it was fitted to.
    `all_rows`: those of the same kind, with the cells before the onset, or of the same ladder.
    `fit`: of a slope or of a surface."""

    exponent: str
    value: float
    half_width: float
    rows: pd.DataFrame
    all_rows: pd.DataFrame
    fit: Slope | Surface


def ask(evidence: Evidence, exponent: str) -> Question:
    """Return the question. Raise UserError for an exponent that the rows do not have, and for one
    that they are too few for."""
    if exponent in EXPONENTS:
        return _of_surface(evidence, exponent)
    kinds = sorted(evidence.trials["kind"].unique())
    if exponent not in kinds:
        names = [*kinds, *EXPONENTS]
        raise UserError(
            f"--narrow {exponent[:60]!r}: the exponents are a kind's name ({'; '.join(kinds)}), for"
            f" its slope of stability, or {', '.join(EXPONENTS)}, for the loss surface of {TASK}"
            f"{did_you_mean(exponent, names)}"
        )
    return _of_slope(evidence, exponent)


def _of_slope(evidence: Evidence, kind: str) -> Question:
    slope = fit_all(evidence.trials).slopes[kind, STABILITY]
    if slope.curves < OWN_CURVES or not slope.noise_freedom:
        raise UserError(
            f"--narrow '{kind}': its slope rests on {slope.curves} curves, and a choice needs at"
            f" least {OWN_CURVES} curves of three sizes past the onset, which say how much slopes"
            " differ"
        )
    half = (slope.high - slope.low) / 2
    own = evidence.trials[evidence.trials["kind"].eq(kind)]
    return Question(kind, slope.slope, half, fit_rows(evidence.trials, kind), own, slope)


def _of_surface(evidence: Evidence, exponent: str) -> Question:
    rows = _one_ladder(evidence, exponent)
    n, d, loss = (rows[name].to_numpy(float) for name in ("p", "tokens_seen", "test_loss"))
    fit = fit_scaling(n, d, loss)
    if isinstance(fit, str):
        raise UserError(f"--narrow {exponent}: {fit}")

    residual = np.log(loss / fit.at(n, d))
    freedom = max(1, len(loss) - PARAMETERS)
    parameters = (fit.E, fit.A, fit.B, fit.alpha, fit.beta)
    surface = Surface(
        *(parameter.value for parameter in parameters),
        sigma=float(np.sqrt((residual**2).sum() / freedom)),
    )
    stated = {"alpha": fit.alpha, "beta": fit.beta, "compute": fit.compute_exponent}[exponent]
    half = (stated.high - stated.low) / 2
    return Question(exponent, stated.value, half, rows, rows, surface)


def _one_ladder(evidence: Evidence, exponent: str) -> pd.DataFrame:
    """Return the trials of the store's ladder. Raise UserError where it has none, or several:
    another corpus or recipe has another surface."""
    ladders = ladders_of(evidence.trials)
    if not ladders:
        raise UserError(
            f"--narrow {exponent}: the store has no rows of {TASK} whose every seed finished"
        )
    if len(ladders) > 1:
        settings = "; ".join(f"({own.settings})" for own in ladders)
        raise UserError(
            f"--narrow {exponent}: a choice is for one ladder, and the rows of {TASK} are"
            f" {len(ladders)}, by their settings: {settings}"
        )
    return ladders[0].trials
