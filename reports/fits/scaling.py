"""Loss as a function of parameters N and tokens D, L = E + A/N^α + B/D^β (Hoffmann et al. 2022),
fitted to runs.

    fit = fit_scaling(n, d, loss)
    fit.alpha.value, fit.alpha.low, fit.compute_exponent, fit.at(1e9, 2e10)

Objective: the sum over runs of Huber's loss, δ = 1e-3, of log residuals, as there and in Besiroglu
et al. 2024, who show that its mean, or another δ, lands on other exponents. Variable projection
over a grid of exponents gives the starts, and all five parameters move from there
(`reports.fits.huber`). The form is judged by how well it foresees the runs of most compute, beside
two rivals: Kaplan et al. 2020's joint form, and a levelling power law in compute alone.
"""

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np

from reports.fits.huber import DELTA, Form, Runs, minimise, search
from reports.fits.slope import LEVEL, SEED

REPLICATES = 300
MIN_CELLS = 6
"""Five parameters, and something left to miss."""
MIN_VALUES = 3
"""Distinct N, and distinct D, below which an exponent is not told from the floor E."""
FEW_CELLS = 10
"""With fewer cells, the search on a bootstrap draw too often ends in a minimum that is not the
lowest."""
HELD_OUT_SHARE = 0.2
HELD_OUT_CELLS = 3
"""Of the cells, those of most compute are held out: this share, and at least this many."""
EXPONENTS = (0.01, 3.0)
"""The range of α and β."""
LEAST = 1e-8
"""A coefficient this small, in units of the typical loss, is 0."""
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
    places, cell = np.unique(np.column_stack([n, d]), axis=0, return_inverse=True)
    cell = cell.ravel()
    k = len(places)
    if k < MIN_CELLS or min(len(np.unique(n)), len(np.unique(d))) < MIN_VALUES:
        return "too few pairs of size and tokens for five parameters"

    logs = [np.log(np.asarray(v, float)) for v in (n, d, loss)]
    centre = [float(v.mean()) for v in logs]
    x, y, log_loss = (v - c for v, c in zip(logs, centre, strict=True))
    runs = Runs(np.array([x, y]), log_loss)
    minima, costs = search(CHINCHILLA, runs)
    best = minima[:1]
    agreement = float(np.mean(costs <= costs[0] * 1.001 + 1e-12))

    times = _resampled(places)
    starts = np.repeat(best, len(times), axis=0)
    draws, _ = minimise(CHINCHILLA, starts, runs, times[:, cell].astype(float))

    fit = _in_units(best, centre)[0]
    spread = _in_units(draws, centre)
    widen = np.sqrt(k / (k - 5))
    ratio = _interval(
        fit[4] / (fit[3] + fit[4]), spread[:, 4] / (spread[:, 3] + spread[:, 4]), widen
    )

    errors, held_out_cells = _held_out(runs, cell, places)
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
        runs=len(runs.target),
        draws=spread,
        warnings=_warnings(minima[0], agreement, places, bool(errors)),
    )


def _in_units(z: np.ndarray, centre: list[float]) -> np.ndarray:
    """Return E, A, B, α, β, (P, 5), in nats, parameters and tokens. A coefficient at its end is
    0."""
    coefficients = np.where(z[:, :3] > LEAST, z[:, :3], 0) * np.exp(centre[2])
    per = np.exp(np.column_stack([np.zeros(len(z)), z[:, 3] * centre[0], z[:, 4] * centre[1]]))
    return np.column_stack([coefficients * per, z[:, 3:]])


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


def _held_out(runs: Runs, cell: np.ndarray, places: np.ndarray) -> tuple[dict[str, float], int]:
    """Return the error of every form on the cells of most compute, and the number of these
    cells."""
    compute = np.log(places).sum(1)
    count = max(HELD_OUT_CELLS, round(HELD_OUT_SHARE * len(places)))
    # A budget's cells differ in compute by rounding alone and go together.
    last = compute >= np.sort(compute)[-count] - 0.05
    kept = places[~last]
    count = int(last.sum())
    if len(kept) < MIN_CELLS or min(len(np.unique(values)) for values in kept.T) < MIN_VALUES:
        return {}, count

    out = last[cell]
    known = runs.subset(~out)
    asked = runs.subset(out)
    return {name: _missed(form, known, asked) for name, form in FORMS.items()}, count


def _missed(form: Form, known: Runs, asked: Runs) -> float:
    """Fit the form to `known` and predict `asked`. Return exp(RMS log error)."""
    z = search(form, known)[0][:1]
    errors = form.evaluate(z, asked.inputs)[0][0] - asked.target
    return float(np.exp(np.sqrt(np.mean(errors**2))))


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


def _chinchilla(z: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L = E + A·N^−α + B·D^−β; z = E, A, B, α, β."""
    x, y = inputs
    e, a, b, alpha, beta = z.T[:, :, None]
    u = np.exp(-alpha * x)
    v = np.exp(-beta * y)
    f = e + a * u + b * v
    return np.log(f), np.stack([1 / f, u / f, v / f, -a * u * x / f, -b * v * y / f], axis=2)


def _kaplan(z: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L = (A·N^−κ + B/D)^α_D; z = A, B, κ = α_N/α_D, α_D."""
    x, y = inputs
    a, b, kappa, power = z.T[:, :, None]
    u = np.exp(-kappa * x)
    v = np.exp(-y)
    q = a * u + b * v
    return power * np.log(q), np.stack(
        [power * u / q, power * v / q, -power * a * u * x / q, np.log(q)], axis=2
    )


def _compute(z: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L = E + K·C^−γ; z = E, K, γ."""
    size = inputs.sum(0)
    e, k, gamma = z.T[:, :, None]
    u = np.exp(-gamma * size)
    f = e + k * u
    return np.log(f), np.stack([1 / f, u / f, -k * u * size / f], axis=2)


def _form(
    evaluate: Callable[..., tuple[np.ndarray, np.ndarray]],
    linear: int,
    ranges: tuple[tuple[float, float], ...],
) -> Form:
    """Return a form whose search starts on a grid over the ranges of its exponents."""
    grids = [np.geomspace(5 * low, high / 2, 7) for low, high in ranges]
    starts = np.array([(*[1 / linear] * linear, *exponents) for exponents in product(*grids)])
    low, high = zip(*[(LEAST, np.inf)] * linear, *ranges, strict=True)
    return Form(evaluate, linear, np.array(low), np.array(high), starts)


CHINCHILLA = _form(_chinchilla, 3, (EXPONENTS, EXPONENTS))
FORMS = {
    "E + A/N^α + B/D^β": CHINCHILLA,
    "Kaplan et al.'s joint form": _form(_kaplan, 2, ((0.05, 20.0), EXPONENTS)),
    "a levelling power law in N·D": _form(_compute, 2, (EXPONENTS,)),
}
"""The form and its rivals, by the names under which their held-out errors stand."""
