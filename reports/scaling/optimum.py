"""The best split of a compute budget between parameters and tokens, C = 6·N·D.

    best = optimum(fit, 1e21)
    best.N.value, best.D.low, best.extrapolation

The measure is searched along N·D = C/6, so every form of N and D has an answer or says why not.
"""

from typing import NamedTuple

import numpy as np

from harness.errors import UserError
from reports.scaling.fitting import NAN, Estimate, Fit
from reports.scaling.intervals import percentile

FLOPS_PER = 6.0
"""FLOP for each parameter and token (Kaplan et al. 2020, section 2.1)."""
REACH = 1e6
"""Factor beyond the fitted sizes up to which the best one is looked for."""
PLACES = 241


class Optimum(NamedTuple):
    """The best N and D at a budget in FLOP, and the measure there, each with its 95 % interval.
    extrapolation: how far N and D lie beyond the fitted table, in words."""

    budget: float
    N: Estimate
    D: Estimate
    loss: Estimate
    extrapolation: str


def optimum(fit: Fit, budget: float) -> Optimum:
    """Return the best split at C = 6·N·D. Raise UserError where the form has none."""
    if fit.form.inputs != ("N", "D") or not budget > 0:
        why = f"budget: {budget:g} is not above 0"
        if fit.form.inputs != ("N", "D"):
            why = f"budget: the form {fit.form.name} has no split between parameters and tokens"
        raise UserError(why)

    product = budget / FLOPS_PER
    log_n, value = _best(fit, fit.z[None], product)
    if np.isnan(log_n[0]):
        raise UserError(
            f"budget: the form {fit.form.name} has no best size at {budget:g} FLOP within"
            f" {REACH:g} times the fitted sizes"
        )
    n, d = float(np.exp(log_n[0])), float(product / np.exp(log_n[0]))
    ends = np.full((3, 2), NAN)
    note = fit.interval
    if len(fit.drawn):
        drawn, values = _best(fit, fit.drawn, product)
        lost = float(np.isnan(drawn).mean())
        note = f"{lost:.0%} of the bootstrap's draws have no best size" if lost > 0.025 else ""
        if not note:
            ends[0] = percentile(np.array(n), np.exp(drawn), fit.widen, True)
            ends[1] = percentile(np.array(d), product / np.exp(drawn), fit.widen, True)
            ends[2] = percentile(np.array(value[0]), values, fit.widen, True)

    def estimate(key: str, value: float, ends: np.ndarray, unit: str) -> Estimate:
        method = "bootstrap" if np.isfinite(ends).all() else ""
        return Estimate(key, f"{key}*", value, float(ends[0]), float(ends[1]), unit, method, note)

    return Optimum(
        budget=budget,
        N=estimate("N", n, ends[0], "parameters"),
        D=estimate("D", d, ends[1], "tokens"),
        loss=estimate("L", float(value[0]), ends[2], "unit of the measure"),
        extrapolation=fit.beyond(N=n, D=d),
    )


def _best(fit: Fit, z: np.ndarray, product: float) -> tuple[np.ndarray, np.ndarray]:
    """Return log N (P,) at which the measure is best for N·D = product, and the measure there; NaN
    where it is best at an end of what is searched.

    By a grid in log N, and a parabola through the best place and its neighbours.
    """
    low, high = np.log(fit.ranges["N"])
    places = np.linspace(low - np.log(REACH), high + np.log(REACH), PLACES)
    n = np.exp(places)
    sign = -1 if fit.problem.rising else 1
    values = sign * fit.problem.values(z, fit.problem.centred({"N": n, "D": product / n}))
    values = np.where(np.isfinite(values), values, np.inf)
    least = values.argmin(1)
    inside = (least > 0) & (least < PLACES - 1)

    i = np.clip(least, 1, PLACES - 2)
    each = np.arange(len(z))
    before, here, after = (values[each, i + step] for step in (-1, 0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = 0.5 * (before - after) / (before - 2 * here + after)
    shift = np.clip(np.nan_to_num(shift), -0.5, 0.5)
    log_n = places[i] + shift * (places[1] - places[0])
    refined = here - 0.25 * (before - after) * shift
    return np.where(inside, log_n, NAN), np.where(inside, sign * refined, NAN)
