"""One form fitted to a table: parameters with intervals, and what they rest on.

    fit = fit_form("chinchilla", Points({"N": n, "D": d}, loss))
    fit["alpha"].value, fit["alpha"].low, fit.predict(N=1e9, D=2e10)

Search: from a grid of exponents by variable projection, then all parameters together
(`reports.fits.huber`). The certificate is the share of starts that end within 0.1 % of the best
objective, of the best 64 where there are more.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.errors import UserError, did_you_mean
from reports.scaling.draws import least_units, refitted, resample
from reports.scaling.form import Form
from reports.scaling.forms import form_named
from reports.scaling.identified import doubts
from reports.scaling.intervals import Ends, percentile, profile, widening
from reports.scaling.objective import HUBER, Objective
from reports.scaling.points import Points
from reports.scaling.problem import Minima, Problem

NAN = float("nan")
SAME = 1.001
"""Objectives within this factor of each other are those of one minimum."""
FLOORS = ("E", "E0", "a", "epsilon")
DISTINCT = 3
"""Minima of other starts from which profiles are searched too."""

EXPONENTS_OF_SIZES = {
    "chinchilla": ("alpha", "beta"),
    "data-constrained": ("alpha", "beta"),
    "kaplan": ("alpha_N", "alpha_D"),
}
"""Form → the exponents of N and of D. Of the form for repeated tokens, for tokens seen once."""


class Estimate(NamedTuple):
    """A parameter with its 95 % interval. method: profile, bootstrap, or nothing where there is no
    interval; note says why, or what the interval ran into."""

    key: str
    symbol: str
    value: float
    low: float
    high: float
    unit: str
    method: str = ""
    note: str = ""


@dataclass(frozen=True)
class Fit:
    """A form with its parameters, in the user's units.

    derived: exponents that follow from others. cost: the objective at the minimum. agreement: share
    of `starts` that ended within 0.1 % of it; where more were `tried`, these are the best of them
    once their coefficients were found. clusters: equal to cells where no cluster is given.
    interval: how the intervals were made, or why there are none. draws: (R, k) parameters of the
    bootstrap's draws. warnings: what speaks against trusting the parameters, one sentence each.
    ranges: role → the smallest and largest value that was fitted. problem, z and drawn: what
    `predict` needs, in centred units.
    """

    form: Form
    objective: Objective
    estimates: tuple[Estimate, ...]
    derived: tuple[Estimate, ...]
    cost: float
    starts: int
    tried: int
    agreement: float
    rows: int
    cells: int
    clusters: int
    interval: str
    draws: np.ndarray
    warnings: tuple[str, ...]
    ranges: dict[str, tuple[float, float]]
    problem: Problem
    z: np.ndarray
    drawn: np.ndarray

    def __getitem__(self, key: str) -> Estimate:
        """Return the parameter, or derived exponent, of this key. Raise UserError for one that the
        form lacks."""
        parameters = self.parameters
        if key not in parameters:
            raise UserError(
                f"the form {self.form.name} has no '{key}'; it has {', '.join(parameters)}"
                f"{did_you_mean(key, parameters)}"
            )
        return parameters[key]

    @property
    def parameters(self) -> dict[str, Estimate]:
        """Return its parameters and derived exponents, each with its 95 % interval, by key."""
        return {e.key: e for e in (*self.estimates, *self.derived)}

    @property
    def starts_said(self) -> str:
        """Return how many starts the agreement is a share of, in words."""
        if self.tried > self.starts:
            return f"the best {self.starts} of {self.tried} starts"
        return f"{self.starts} starts"

    @property
    def widen(self) -> float:
        """Return the factor by which percentile intervals are widened."""
        return widening(self.clusters, len(self.z))

    def predict(self, **inputs: ArrayLike) -> np.ndarray:
        """Return the fitted measure at inputs by role: predict(N=1e9, D=2e10).
        Raise UserError where one is missing."""
        return self.problem.values(self.z[None], self._centred(inputs))[0]

    def predict_interval(self, **inputs: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the fitted measure and the ends of the 95 % interval of the curve, not of a new
        run. The ends are NaN where intervals are refused."""
        centred = self._centred(inputs)
        value = self.problem.values(self.z[None], centred)[0]
        if not len(self.drawn):
            return value, np.full_like(value, NAN), np.full_like(value, NAN)
        draws = self.problem.values(self.drawn, centred)
        log = self.objective.residual == "log"
        low, high = percentile(value, draws, self.widen, log)
        return value, low, high

    def beyond(self, **inputs: float) -> str:
        """Return by how much inputs leave the fitted range, in words; nothing inside it."""
        parts = []
        for role, value in inputs.items():
            low, high = self.ranges[role]
            if value > high:
                parts.append(f"{role} {value / high:.3g} times beyond the largest fitted")
            elif value < low:
                parts.append(f"{role} {low / value:.3g} times below the smallest fitted")
        return ", ".join(parts)

    def _centred(self, inputs: dict[str, ArrayLike]) -> np.ndarray:
        roles = self.form.inputs
        if missing := [role for role in roles if role not in inputs]:
            raise UserError(
                f"predict: the form {self.form.name} needs {' and '.join(roles)};"
                f" {' and '.join(missing)} is missing"
            )
        values = {role: np.atleast_1d(np.asarray(v, float)) for role, v in inputs.items()}
        return self.problem.centred(values)


def fit_form(
    form: Form | str, points: Points, objective: Objective = HUBER, intervals: bool = True
) -> Fit:
    """Fit a form, or the form of this name. Raise UserError where the table does not allow it.

    intervals: draw the bootstrap and profile the exponents; without, the parameters alone.
    """
    form = form_named(form) if isinstance(form, str) else form
    problem = Problem.of(form, points, objective)
    own = points.of(form.inputs)
    minima = problem.search()
    best = minima.z[0]

    tiny = 1e-12 * problem.rows
    agreement = float(np.mean(minima.cost <= minima.cost[0] * SAME + tiny))
    cells = len(np.unique(own.cells))
    clusters = len(np.unique(own.units))
    values = problem.units(best[None])[0]
    bare = tuple(
        Estimate(p.key, p.symbol, float(value), NAN, NAN, p.unit)
        for p, value in zip(form.parameters, values, strict=True)
    )
    fit = Fit(
        form=form,
        objective=objective,
        estimates=bare,
        derived=(),
        cost=problem.cost(float(minima.cost[0])),
        starts=len(minima.cost),
        tried=len(problem.engine.starts),
        agreement=agreement,
        rows=len(points.y),
        cells=cells,
        clusters=clusters,
        interval="not asked for",
        draws=np.empty((0, len(best))),
        warnings=(),
        ranges={
            role: (float(points.inputs[role].min()), float(points.inputs[role].max()))
            for role in form.inputs
        },
        problem=problem,
        z=best,
        drawn=np.empty((0, len(best))),
    )
    if intervals:
        fit = _with_intervals(fit, minima, own)
    fit = replace(fit, derived=_derived(fit))
    return replace(fit, warnings=tuple(doubts(fit, points)))


def _with_intervals(fit: Fit, minima: Minima, points: Points) -> Fit:
    """Return the fit with its draws and intervals, or with the reason why it has none."""
    k = len(fit.z)
    needed = least_units(k)
    clustered = points.cluster is not None
    if fit.clusters < needed:
        noun = "clusters" if clustered else "different points"
        why = f"none: {fit.clusters} {noun} are too few for {k} parameters (at least {needed})"
        return replace(
            fit, interval=why, estimates=tuple(e._replace(note=why) for e in fit.estimates)
        )

    draws = resample(fit.problem, minima.z[:1], points.units, clustered)
    found = refitted(fit.problem, minima.z[:1], draws)
    spread = fit.problem.units(found.z)
    fit = replace(fit, draws=spread, drawn=found.z)
    places = _distinct(minima)

    estimates = []
    for i, estimate in enumerate(fit.estimates):
        parameter = fit.form.parameters[i]
        method = "bootstrap"
        if estimate.key in fit.form.own:
            j = fit.form.own[estimate.key]
            method = "profile"
            held = profile(fit.problem, places, minima.cost[0], j, draws, found.cost, fit.clusters)
            low, high = _in_units(fit, j, i, held)
        else:
            # Coefficients lie anywhere between powers of ten, floors near one.
            log = not parameter.low < 0 and estimate.key not in FLOORS and estimate.value > 0
            low, high = percentile(np.array(estimate.value), spread[:, i], fit.widen, log)
        if parameter.low == 0 and estimate.value >= 0:
            low = max(low, 0.0)
        estimates.append(estimate._replace(low=float(low), high=float(high), method=method))

    how = f"{draws.how}, {draws.replicates} draws, widened {fit.widen:.2f} times (Student's t)"
    if any(e.method == "profile" for e in estimates):
        symbols = ", ".join(e.symbol for e in estimates if e.method == "profile")
        how += f"; profile for {symbols}"
    return replace(fit, estimates=tuple(estimates), interval=how)


def _distinct(minima: Minima) -> np.ndarray:
    """Return the best minimum and the best of the others, (S, k)."""
    others = np.flatnonzero(minima.cost > minima.cost[0] * SAME)[: DISTINCT - 1]
    return minima.z[[0, *others]]


def _in_units(fit: Fit, j: int, i: int, held: Ends) -> tuple[float, float]:
    """Return the ends of z[j] as ends of the i-th parameter, which depends on z[j] alone."""
    z = np.repeat(fit.z[None], 2, axis=0)
    z[:, j] = held
    low, high = np.sort(fit.problem.units(z)[:, i])
    return float(low), float(high)


def compute_exponent(form: Form, values: np.ndarray) -> np.ndarray | None:
    """Return the exponent of the best N in compute, (P,), for parameters (P, k) in the user's
    units; None for a form that has none of its own.

    With C proportional to N·D, the best N goes as C^(β/(α + β)) in Hoffmann et al.'s form, and as
    C^(α_D/(α_N + α_D)) in Kaplan et al.'s.
    """
    if form.name not in EXPONENTS_OF_SIZES:
        return None
    of_n, of_d = (values[:, form.keys.index(key)] for key in EXPONENTS_OF_SIZES[form.name])
    return of_d / (of_n + of_d)


def _derived(fit: Fit) -> tuple[Estimate, ...]:
    """Return the exponent of the best N in compute, where the form has one."""
    values = np.array([[e.value for e in fit.estimates]])
    exponent = compute_exponent(fit.form, values)
    if exponent is None:
        return ()
    symbols = [fit[key].symbol for key in EXPONENTS_OF_SIZES[fit.form.name]]
    symbol = f"{symbols[1]}/({' + '.join(symbols)})"
    value = float(exponent[0])
    bare = Estimate("compute_exponent", symbol, value, NAN, NAN, "", "", fit.interval)
    drawn = compute_exponent(fit.form, fit.draws)
    if drawn is None or not len(drawn):
        return (bare,)
    low, high = np.clip(percentile(np.array(value), drawn, fit.widen, False), 0, 1)
    return (bare._replace(low=float(low), high=float(high), method="bootstrap", note=""),)
