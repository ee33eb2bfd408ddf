"""The next runs of a table that is no store: pairs of N and D that narrow an exponent of L = E +
A/N^α + B/D^β most for their FLOPs.

    found = suggest_runs("runs.csv", "alpha", 1e21)
    found.runs[0].N, found.runs[0].half_width

The half-width is that of `surface_design`: the form's gradient at the fitted parameters, and the
spread of the residuals. A run costs 6·N·D FLOPs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.errors import UserError, did_you_mean
from reports.scaling.columns import Named
from reports.scaling.fitting import Estimate, Fit, fit_form
from reports.scaling.optimum import FLOPS_PER
from reports.scaling.points import Points
from reports.scaling.power_sums import CHINCHILLA
from reports.scaling.read_table import Source
from reports.scaling.table import Loaded, load
from reports.suggest.choice import choose
from reports.suggest.grid import steps
from reports.suggest.surface_design import EXPONENTS, PARAMETERS, Surface, SurfaceDesign

KEYS = {"alpha": "alpha", "beta": "beta", "compute": "compute_exponent"}
"""What can be narrowed → its key in a fit."""
MOST_VALUES = 10
"""Sizes that are tried one by one. A table by budgets has another number of tokens in every row;
there as many steps of equal ratio stand for them."""
SAME = 0.01
"""Runs whose N and D differ by less, as shares, are one."""


class Run(NamedTuple):
    """One run. half_width: of the exponent with it and those before it."""

    N: float
    D: float
    flops: float
    half_width: float


class Runs(NamedTuple):
    """The next runs, the best first. estimate: the exponent as `unilaw fit` states it. spread: of
    the residuals of log loss. before: the expected half-width now. budget: in FLOPs."""

    loaded: Loaded
    exponent: str
    estimate: Estimate
    spread: float
    before: float
    runs: tuple[Run, ...]
    budget: float
    warnings: tuple[str, ...]

    @property
    def flops(self) -> float:
        """Return the FLOPs of all runs."""
        return sum(run.flops for run in self.runs)


def suggest_runs(
    source: Source,
    exponent: str,
    budget: float,
    columns: Named = (),
    where: Sequence[str] = (),
) -> Runs:
    """Choose the runs. The other arguments are those of `reports.scaling.table.load`.

    Raise UserError for an exponent that the form lacks, a table that it cannot be fitted to or that
    does not tell its parameters apart, and a budget that pays for no run.
    """
    if exponent not in EXPONENTS:
        raise UserError(
            f"--narrow {exponent[:60]!r}: of a table, the exponents are those of"
            f" {CHINCHILLA.formula}: {', '.join(EXPONENTS)} (compute: β/(α + β))"
            f"{did_you_mean(exponent, EXPONENTS)}"
        )
    loaded = load(source, columns, where=where, needs=CHINCHILLA.inputs)
    fit = fit_form(CHINCHILLA, loaded.points)
    surface = _surface(fit, loaded)

    n, d = (loaded.points.inputs[role] for role in CHINCHILLA.inputs)
    moves = candidates(n, d)
    cost = FLOPS_PER * moves[:, 0] * moves[:, 1]
    design = SurfaceDesign.of(surface, exponent, (n, d), (moves[:, 0], moves[:, 1]))
    before = design.half_width()
    if not np.isfinite(before):
        raise UserError(
            f"--narrow {exponent}: the rows of {loaded.table} do not tell the parameters of"
            f" {CHINCHILLA.formula} apart, so no run can be judged"
        )
    if budget < cost.min():
        raise UserError(
            f"--budget: {budget:.3g} FLOPs are less than the cheapest run takes, {cost.min():.3g}"
        )
    chosen, _ = choose(design, cost.tolist(), budget)
    if not chosen:
        raise UserError(f"--budget {budget:.3g}: no run that it pays for narrows {exponent}")

    runs = []
    for move in chosen:
        design = design.after(move)
        size, tokens = moves[move]
        runs.append(Run(float(size), float(tokens), float(cost[move]), design.half_width()))
    return Runs(
        loaded,
        exponent,
        fit[KEYS[exponent]],
        surface.sigma,
        before,
        tuple(runs),
        budget,
        fit.warnings,
    )


def _surface(fit: Fit, loaded: Loaded) -> Surface:
    """Return the fitted surface. Raise UserError where the loss falls with one size alone."""
    for key, role in (("A", "N"), ("B", "D")):
        if fit[key].value <= 0:
            raise UserError(
                f"{loaded.table}: by the fit of {CHINCHILLA.formula},"
                f" '{loaded.points.name('Y')}' does not fall with {role}, so no run can be judged"
            )
    residual = _residual(fit, loaded.points)
    sigma = float(np.sqrt((residual**2).sum() / max(1, len(residual) - PARAMETERS)))
    return Surface(*(fit[key].value for key in ("E", "A", "B", "alpha", "beta")), sigma=sigma)


def _residual(fit: Fit, points: Points) -> np.ndarray:
    """Return the residuals of log loss, (K,)."""
    return np.log(points.y / fit.predict(**{role: points.inputs[role] for role in "ND"}))


def candidates(n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return the pairs (M, 2) of N and D that the runs (K,) lack: on their grid, between its
    values, and one step beyond."""
    pairs = np.array([(a, b) for a in _rungs(n) for b in _rungs(d)])
    apart = np.abs(np.log(pairs[:, None, :] / np.column_stack([n, d])[None]))
    return pairs[apart.max(-1).min(-1) > SAME]


def _rungs(sizes: np.ndarray) -> list[float]:
    """Return the sizes, those in between, and the next larger one, each of the new ones rounded to
    three digits."""
    own = np.unique(sizes)
    if len(own) > MOST_VALUES:
        ratio = (own[-1] / own[0]) ** (1 / (MOST_VALUES - 1))
        return [
            _three_digits(size) for size in np.geomspace(own[0], own[-1] * ratio, MOST_VALUES + 1)
        ]
    return [*own.tolist(), *(_three_digits(size) for size in steps(own.tolist()))]


def _three_digits(size: float) -> float:
    return float(f"{size:.3g}")
