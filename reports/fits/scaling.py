"""Loss as a function of parameters N and tokens D, L = E + A/N^α + B/D^β (Hoffmann et al. 2022),
fitted to runs.

    fit = fit_scaling(n, d, loss)
    fit.alpha.value, fit.alpha.low, fit.compute_exponent, fit.at(1e9, 2e10)

Objective: the sum over runs of Huber's loss, δ = 1e-3, of log residuals, as there and in Besiroglu
et al. 2024, who show that its mean, or another δ, lands on other exponents. It and its rivals
are forms of `unilaw fit` (`reports.scaling.forms`), judged by how well they foresee the runs of
most compute. The rivals are Kaplan et al. 2020's joint form and a levelling power law in compute
alone.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from harness.errors import UserError
from reports.fits.huber import DELTA, minimise, search
from reports.fits.slope import LEVEL, SEED
from reports.scaling.form import Form
from reports.scaling.held_out import held_out_rows
from reports.scaling.joint import KAPLAN
from reports.scaling.objective import HUBER
from reports.scaling.points import Points
from reports.scaling.power_sums import CHINCHILLA, EXPONENTS, SATURATING
from reports.scaling.problem import Problem

FORMS = {
    "E + A/N^α + B/D^β": CHINCHILLA,
    "Kaplan et al.'s joint form": KAPLAN,
    "a levelling power law in N·D": SATURATING,
}
"""The form and its rivals, by the names under which their held-out errors stand."""

REPLICATES = 300
MIN_CELLS = 6
"""Five parameters, and something left to miss."""
MIN_VALUES = 3
"""Distinct N, and distinct D, below which an exponent is not told from the floor E."""
FEW_CELLS = 10
"""With fewer cells, the search on a bootstrap draw too often ends in a minimum that is not the
lowest."""
COLLINEAR = 0.95
"""Correlation of log N and log D above which α and β are hardly told apart."""


class Interval(NamedTuple):
    value: float
    low: float
    high: float


class Scaling(NamedTuple):
    """The form with 95 % intervals, and what they rest on.

    compute_exponent: β/(α + β), of the best N at a given C = 6ND. objective: at the minimum.
    agreement: share of `starts` that ended within 0.1 % of it. held_out: form → typical factor,
    exp(RMS log error), by which the form fitted to all other runs misses those of the
    `held_out_cells` cells of most compute; empty when too little is left. draws (R, 5): the
    bootstrap's E, A, B, α, β. cells: distinct (N, D). warnings: what speaks against trusting the
    parameters, in words.
    """

    E: Interval
    A: Interval
    B: Interval
    alpha: Interval
    beta: Interval
    compute_exponent: Interval
    objective: float
    delta: float
    agreement: float
    starts: int
    held_out: dict[str, float]
    held_out_cells: int
    cells: int
    runs: int
    draws: np.ndarray
    warnings: tuple[str, ...]

    def at(self, n: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Return the fitted loss at n parameters and d tokens."""
        return (
            self.E.value + self.A.value * n**-self.alpha.value + self.B.value * d**-self.beta.value
        )


def fit_scaling(n: np.ndarray, d: np.ndarray, loss: np.ndarray) -> Scaling | str:
    """Fit runs of n parameters, d tokens and held-out loss > 0, each (K,); or say why not.

    Intervals: percentile bootstrap over cells (distinct N and D) with their runs inside, REPLICATES
    draws, each begun at the fit to all runs; draws that leave fewer than five cells, three N or
    three D are drawn again. Of A and B on a log scale. Widened by sqrt(K/(K − 5)) for K cells,
    because resampling few cells understates their spread. On simulated ladders of 9 to 40 cells
    each held the truth 28 to 30 times in 30: rather too wide than too narrow.
    """
    places = np.unique(np.column_stack([n, d]), axis=0)
    k = len(places)
    if k < MIN_CELLS or min(len(np.unique(n)), len(np.unique(d))) < MIN_VALUES:
        return "too few pairs of size and tokens for five parameters"

    try:
        points = Points({"N": n, "D": d}, loss)
        problem = problem_of(CHINCHILLA, points)
    except UserError as error:
        return str(error)
    minima, costs = search(problem.engine, problem.runs)
    best = minima[:1]
    agreement = float(np.mean(costs <= costs[0] * 1.001 + 1e-12))

    times = _resampled(places)
    starts = np.repeat(best, len(times), axis=0)
    weights = times[:, points.cells].astype(float)
    draws, _ = minimise(problem.engine, starts, problem.runs, weights)

    fit = problem.units(best)[0]
    spread = problem.units(draws)
    widen = np.sqrt(k / (k - 5))
    ratio = _interval(
        fit[4] / (fit[3] + fit[4]), spread[:, 4] / (spread[:, 3] + spread[:, 4]), widen
    )

    errors, held_out_cells = _held_out(points)
    return Scaling(
        E=_interval(fit[0], spread[:, 0], widen),
        A=_interval(fit[1], spread[:, 1], widen, log=True),
        B=_interval(fit[2], spread[:, 2], widen, log=True),
        alpha=_interval(fit[3], spread[:, 3], widen),
        beta=_interval(fit[4], spread[:, 4], widen),
        compute_exponent=ratio._replace(high=min(ratio.high, 1.0)),
        objective=float(costs[0]),
        delta=DELTA,
        agreement=agreement,
        starts=len(costs),
        held_out=errors,
        held_out_cells=held_out_cells,
        cells=k,
        runs=len(loss),
        draws=spread,
        warnings=_warnings(minima[0], agreement, places, bool(errors)),
    )


def problem_of(form: Form, points: Points) -> Problem:
    """Return runs as a problem for the solver. Raise UserError where the form cannot be fitted to
    them. A loss falls with size, so no coefficient turns negative, whatever these runs do."""
    return replace(Problem.of(form, points, HUBER), rising=False)


def _resampled(places: np.ndarray) -> np.ndarray:
    """Return how often each cell is drawn, (REPLICATES, cells)."""
    k = len(places)
    times = np.random.default_rng(SEED).multinomial(k, np.full(k, 1 / k), size=20 * REPLICATES)
    drawn = times > 0
    enough = drawn.sum(1) >= 5
    for values in places.T:
        member = (values[:, None] == np.unique(values)[None, :]).astype(int)
        enough &= ((drawn @ member) > 0).sum(1) >= MIN_VALUES
    return times[enough][:REPLICATES]


def _interval(value: float, draws: np.ndarray, widen: float, log: bool = False) -> Interval:
    """Return the widened percentile interval of a value ≥ 0; on a log scale where `log`."""
    ends = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if log:
        middle, ends = np.log(max(value, 1e-300)), np.log(np.maximum(ends, 1e-300))
        low, high = np.exp(middle + (ends - middle) * widen)
    else:
        low, high = np.maximum(value + (ends - value) * widen, 0)
    return Interval(float(value), float(low), float(high))


def _held_out(points: Points) -> tuple[dict[str, float], int]:
    """Return the error of every form on the cells of most compute, and the number of these
    cells."""
    out = held_out_rows(points)
    count = len(np.unique(points.cells[out]))
    kept = len(np.unique(points.cells[~out]))
    values = [len(np.unique(size[~out])) for size in points.inputs.values()]
    if kept < MIN_CELLS or min(values) < MIN_VALUES:
        return {}, count

    product = points.inputs["N"] * points.inputs["D"]
    points = replace(points, inputs={**points.inputs, "X": product})
    known, asked = points.subset(~out), points.subset(out)
    errors = {}
    for name, form in FORMS.items():
        try:
            errors[name] = missed(problem_of(form, known), asked)
        except UserError:
            continue
    return errors, count


def missed(problem: Problem, asked: Points) -> float:
    """Fit the problem and predict `asked`. Return exp(RMS log error)."""
    z = search(problem.engine, problem.runs)[0][:1]
    predicted = problem.values(z, problem.centred(asked.inputs))[0]
    return float(np.exp(np.sqrt(np.mean(np.log(predicted / asked.y) ** 2))))


def _warnings(z: np.ndarray, agreement: float, places: np.ndarray, judged: bool) -> tuple[str, ...]:
    """Return what speaks against trusting the parameters z = E, A, B, α, β. judged: the form has a
    held-out error."""
    correlation = np.corrcoef(np.log(places).T)[0, 1]
    low, high = EXPONENTS
    gone = [name for name, value in zip("EAB", z[:3], strict=True) if value < 1e-4]
    edges = [
        name
        for name, value in zip("αβ", z[3:], strict=True)
        if not low * 1.01 < value < high * 0.99
    ]
    warnings = {
        "few pairs of size and tokens for five parameters": len(places) < FEW_CELLS,
        "sizes and tokens lie nearly on one line, so that α and β are hardly told apart": (
            abs(correlation) > COLLINEAR
        ),
        f"the best value of {', '.join(gone)} is 0, the end of its range": bool(gone),
        f"the best value of {', '.join(edges)} is the end of its range": bool(edges),
        "most starts of the search end elsewhere": agreement < 0.5,
        "too few pairs are left when those of most compute are held out": not judged,
    }
    return tuple(text for text, applies in warnings.items() if applies)
