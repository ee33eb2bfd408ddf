"""Read which exponent is to be narrowed, and what the rows say about it now.

    question = ask(evidence, "sphere, ±1 target, pure noise")

An exponent is the slope of stability of a kind, named by the kind; `alpha`, `beta` or `compute` of
the loss surface of `text-stream` rows; or the constant or an exponent of the most robust fits.
"""

import json
from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.errors import UserError, did_you_mean
from reports.evidence import Evidence, fit_rows
from reports.fits.random_slope import OWN_CURVES
from reports.fits.scaling import fit_scaling
from reports.fits.slope import Slope
from reports.frontier import described, of_cell, radii
from reports.frontier_answer import MIN_CURVES, FrontierFit, fit_frontier
from reports.ladders import TASK, ladders_of
from reports.law import fit_all
from reports.measures import STABILITY
from reports.suggest.frontier_design import CONSTANT, OF_D, QUANTITIES
from reports.suggest.surface_design import EXPONENTS, PARAMETERS, Surface


class Question(NamedTuple):
    """An exponent with what the report states of it. `rows`: the trials that it was fitted to; of
    the most robust fits, the searches of the commonest recipe. `all_rows`: those of the same kind,
    with the cells before the onset, or of the same ladder. `fit`: of a slope, a surface, or the
    most robust fits of a problem."""

    exponent: str
    value: float
    half_width: float
    rows: pd.DataFrame
    all_rows: pd.DataFrame
    fit: Slope | Surface | FrontierFit


def ask(evidence: Evidence, exponent: str) -> Question:
    """Return the question. Raise UserError for an exponent that the rows do not have, and for one
    that they are too few for."""
    if exponent in EXPONENTS:
        return _of_surface(evidence, exponent)
    kinds = sorted(evidence.trials["kind"].unique()) if len(evidence.trials) else []
    if exponent in kinds:
        return _of_slope(evidence, exponent)
    frontiers = _frontiers(evidence)
    if exponent in frontiers:
        return _of_frontier(evidence, exponent, frontiers[exponent])
    if exponent in QUANTITIES:
        if not frontiers:
            raise UserError(
                f"--narrow {exponent}: the store has no finished search for the most robust fit"
                " (the field `frontier` asks for one)"
            )
        raise UserError(f"--narrow {exponent}: the store has {'; '.join(frontiers)}")

    names = [*kinds, *EXPONENTS, *frontiers]
    parts = [f"a kind's name ({'; '.join(kinds)}), for its slope of stability"] if kinds else []
    parts.append(f"{', '.join(EXPONENTS)}, for the loss surface of {TASK}")
    if frontiers:
        parts.append(f"{'; '.join(frontiers)}, for the most robust fits")
    raise UserError(
        f"--narrow {exponent[:60]!r}: the exponents are {', or '.join(parts)}"
        f"{did_you_mean(exponent, names)}"
    )


def _frontiers(evidence: Evidence) -> dict[str, FrontierFit]:
    """Return what can be narrowed of the most robust fits, by name, which tells the problem where
    the store has several."""
    fits = fit_frontier(radii(evidence))
    one = len(fits) == 1
    return {name if one else f"{name} of {fit.problem}": fit for name in QUANTITIES for fit in fits}


def _of_frontier(evidence: Evidence, exponent: str, fit: FrontierFit) -> Question:
    quantity = quantity_of(exponent)
    if quantity == CONSTANT:
        found = fit.constant
        if found is None or np.isnan(found.low):
            raise UserError(
                f"--narrow {exponent}: its interval needs {MIN_CURVES} curves in the window"
                " (docs/frontier.md)"
            )
        value = found.value
    else:
        found = fit.dimension if quantity == OF_D else fit.size
        if found.failure:
            raise UserError(f"--narrow {exponent}: {found.failure}")
        value = found.slope

    searches = described(evidence.frontier)
    searches = searches[searches["problem"].eq(fit.problem)]
    recipes = [_recipe(config) for config in searches["config_json"]]
    commonest, _ = Counter(recipes).most_common(1)[0]
    own = searches[[recipe == commonest for recipe in recipes]]
    return Question(exponent, value, (found.high - found.low) / 2, own, searches, fit)


def quantity_of(exponent: str) -> str:
    """Return which of QUANTITIES a name is of."""
    return exponent.partition(" of ")[0]


def _recipe(config: str) -> str:
    """Return the fields of a configuration that say how was searched."""
    fields = json.loads(config)
    what = of_cell(fields)
    return json.dumps({k: v for k, v in fields.items() if k not in what}, sort_keys=True)


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
