"""A measure of models as a power law in parameters and tokens, y = k·N^a·D^b, and which of the two
it follows.

    plane = fit_plane(n, d, y, loss)
    plane.follows, plane.by_size, plane.by_tokens, plane.at_loss

The exponents are those of least squares of logarithms over cells, that is pairs of N and D. Models
of one size share their shape, and models of one number of tokens their text, so the error of a is
judged by how sizes scatter about the power law, where that is more than cells do, and the error of
b by how numbers of tokens do.

The answer is a direction of (a, b), with a tolerance, by RULE.
`python -m tests.benchmarks.sensitivity_ladder` counts the answers to planted truths.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from harness.errors import UserError
from reports.fits.scaling import Interval, missed, problem_of
from reports.fits.slope import LEVEL, SEED
from reports.scaling.points import Points
from reports.scaling.power_sums import CHINCHILLA

MIN_CELLS = 9
MIN_VALUES = 3
COLLINEAR = 0.95
"""Correlation of log N and log D above which their exponents are not told apart."""
TOLERANCE = 1 / 3
NEGLIGIBLE = 0.05
"""A measure whose two exponents are at most this, 12 % per ten times, depends on neither."""
DRAWS = 4000

FLAT, SIZE, TOKENS, RATIO, COMPUTE = "flat", "size", "tokens", "ratio", "compute"
BOTH, UNKNOWN = "both", "cannot tell"

RULE = (
    f"A measure follows the parameters where the exponent of D is at most 1/{1 / TOLERANCE:g} of"
    " that of N in size, and the tokens where it is the other way round; their ratio where the sum"
    " of both exponents, and the compute where their difference, is as small beside the larger of"
    f" them. It hardly depends on either where both are at most {NEGLIGIBLE:g} in size, and on"
    f" another combination of both otherwise. An answer is given where {LEVEL:.0%} of the draws of"
    " both exponents agree on it."
).replace("%", " %")


class Plane(NamedTuple):
    """Exponents with 95 % intervals.

    by_size: of N at a given D. by_tokens: of D at a given N. at_loss: of N at a given held-out
    loss, so on fewer tokens; None where no loss is given. follows: FLAT, SIZE, TOKENS, RATIO,
    COMPUTE, BOTH or UNKNOWN. share: of the draws that agree with the likeliest of them. level: log
    k at N and D of `centre`. used: (K,) whether a run entered.
    """

    by_size: Interval
    by_tokens: Interval
    at_loss: Interval | None
    follows: str
    share: float
    level: float
    centre: tuple[float, float]
    cells: int
    used: np.ndarray

    def at(self, n: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Return the fitted measure at n parameters and d tokens."""
        x = self.by_size.value * (np.log(n) - self.centre[0])
        y = self.by_tokens.value * (np.log(d) - self.centre[1])
        return np.exp(self.level + x + y)


class _Cells(NamedTuple):
    """Logarithms at each cell, (K,): N, D, and the means over its runs of measure and loss."""

    x: np.ndarray
    y: np.ndarray
    value: np.ndarray
    loss: np.ndarray


class _Effect(NamedTuple):
    """A coefficient, its standard error and the degrees of freedom behind it."""

    value: float
    error: float
    freedom: int

    def interval(self) -> Interval:
        half = self.error * float(stdtrit(self.freedom, (1 + LEVEL) / 2))
        return Interval(self.value, self.value - half, self.value + half)


def fit_plane(
    n: np.ndarray, d: np.ndarray, y: np.ndarray, loss: np.ndarray | None = None
) -> Plane | str:
    """Fit runs of n parameters, d tokens and a measure y, each (K,), or say why not. Runs without a
    positive value are left out."""
    used = np.isfinite(y) & (y > 0)
    cells = _cells(n[used], d[used], y[used], None if loss is None else loss[used])
    values = min(len(np.unique(cells.x)), len(np.unique(cells.y)))
    if len(cells.x) < MIN_CELLS or values < MIN_VALUES:
        return "too few pairs of size and tokens"
    if abs(np.corrcoef(cells.x, cells.y)[0, 1]) > COLLINEAR:
        return "sizes and tokens lie nearly on one line"

    sizes, tokens = _factor(cells.x), _factor(cells.y)
    a, b = _effects(cells.value, (cells.x, cells.y), (sizes, tokens))
    draws = _draws(a, b, cells)
    shares = _shares(draws)
    likeliest = max(shares, key=lambda name: shares[name])

    at_loss = None
    if loss is not None and np.ptp(cells.loss) > 0:
        at_loss, _ = _effects(cells.value, (cells.x, cells.loss), (sizes, None))
    return Plane(
        a.interval(),
        b.interval(),
        None if at_loss is None else at_loss.interval(),
        likeliest if shares[likeliest] >= LEVEL else UNKNOWN,
        shares[likeliest],
        float(cells.value.mean()),
        (float(cells.x.mean()), float(cells.y.mean())),
        len(cells.x),
        used,
    )


def _cells(n: np.ndarray, d: np.ndarray, y: np.ndarray, loss: np.ndarray | None) -> _Cells:
    places, member = np.unique(np.column_stack([n, d]), axis=0, return_inverse=True)
    member = member.ravel()
    count = np.bincount(member, minlength=len(places))
    x, tokens = np.log(places).reshape(-1, 2).T

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(member, np.log(values), minlength=len(places)) / np.maximum(count, 1)

    return _Cells(x, tokens, mean(y), np.zeros(len(x)) if loss is None else mean(loss))


def _factor(values: np.ndarray) -> np.ndarray | None:
    """Return the indicators of the values' levels, (K, levels); None where levels hardly repeat, so
    that they have no scatter of their own."""
    levels = np.unique(values)
    if not 2 < len(levels) <= len(values) / 2:
        return None
    return (values[:, None] == levels[None, :]).astype(float)


def _effects(
    value: np.ndarray, along: tuple[np.ndarray, ...], factors: tuple[np.ndarray | None, ...]
) -> list[_Effect]:
    """Return the coefficients of a regression of `value` (K,) on the variables `along`, (K,) each.

    factors: the levels that each variable's error may share, or None. The mean square about the
    regression between the levels takes the place of the one between cells where it is larger, with
    its own degrees of freedom.
    """
    design = np.column_stack([np.ones_like(value), *along])
    coefficients = np.linalg.lstsq(design, value, rcond=None)[0]
    inverse = np.linalg.inv(design.T @ design)
    squares, freedom = _left(design, value)

    shared = [factor for factor in factors if factor is not None]
    within, within_freedom = _left(np.column_stack([design, *shared]), value)
    effects = []
    for i, factor in enumerate(factors, start=1):
        square, behind = squares / freedom, freedom
        if within_freedom > 0 and shared:
            square, behind = within / within_freedom, within_freedom
        if factor is not None:
            inside, inside_freedom = _left(np.column_stack([design, factor]), value)
            between = (squares - inside) / (freedom - inside_freedom)
            if between > square:
                square, behind = between, freedom - inside_freedom
        error = float(np.sqrt(square * inverse[i, i]))
        effects.append(_Effect(float(coefficients[i]), error, behind))
    return effects


def _left(design: np.ndarray, value: np.ndarray) -> tuple[float, int]:
    """Return the sum of squares that a regression leaves, and its degrees of freedom."""
    coefficients, _, rank, _ = np.linalg.lstsq(design, value, rcond=None)
    return float(np.sum((value - design @ coefficients) ** 2)), len(value) - int(rank)


def _draws(a: _Effect, b: _Effect, cells: _Cells) -> np.ndarray:
    """Return draws of both exponents, (DRAWS, 2): Student's t for each, correlated as the design
    makes them."""
    rng = np.random.default_rng(SEED)
    correlation = -float(np.corrcoef(cells.x, cells.y)[0, 1])
    z = rng.standard_normal((DRAWS, 2))
    z[:, 1] = correlation * z[:, 0] + np.sqrt(1 - correlation**2) * z[:, 1]
    scales = [np.sqrt(e.freedom / rng.chisquare(e.freedom, DRAWS)) for e in (a, b)]
    errors = np.array([a.error, b.error])
    return np.array([a.value, b.value]) + errors * z * np.column_stack(scales)


def _shares(draws: np.ndarray) -> dict[str, float]:
    """Return the share of draws (R, 2) of each answer."""
    a, b = draws.T
    larger = TOLERANCE * np.maximum(abs(a), abs(b))
    flat = np.maximum(abs(a), abs(b)) <= NEGLIGIBLE
    masks = {
        FLAT: flat,
        SIZE: ~flat & (abs(b) <= larger),
        TOKENS: ~flat & (abs(a) <= larger),
        RATIO: ~flat & (abs(a + b) <= larger),
        COMPUTE: ~flat & (abs(a - b) <= larger),
    }
    shares = {name: float(mask.mean()) for name, mask in masks.items()}
    return shares | {BOTH: 1 - sum(shares.values())}


def held_out(n: np.ndarray, d: np.ndarray, y: np.ndarray) -> tuple[dict[str, float], int]:
    """Return by which factor, exp(RMS log error), each form misses the fifth of the cells of most
    compute when fitted to the others, and the number of these cells.

    Forms: the powers that `Plane.follows` names, both exponents, and E + A/N^α + B/D^β of the
    measure, or of its inverse where the measure rises. Empty where fewer than MIN_CELLS cells or
    MIN_VALUES values are left.
    """
    cells = _cells(n, d, y, None)
    compute = cells.x + cells.y
    count = max(3, round(len(compute) / 5))
    last = compute >= np.sort(compute)[-count] - 0.05
    known = ~last
    if known.sum() < MIN_CELLS or min(len(np.unique(v[known])) for v in cells[:2]) < MIN_VALUES:
        return {}, int(last.sum())

    x, tokens = cells.x - cells.x[known].mean(), cells.y - cells.y[known].mean()
    one = np.ones_like(x)
    designs = {
        "one value": (one,),
        "N^a": (one, x),
        "D^b": (one, tokens),
        "(D/N)^c": (one, tokens - x),
        "(N·D)^c": (one, tokens + x),
        "N^a·D^b": (one, x, tokens),
    }
    errors = {}
    for form, columns in designs.items():
        design = np.column_stack(columns)
        coefficients = np.linalg.lstsq(design[known], cells.value[known], rcond=None)[0]
        errors[form] = design[last] @ coefficients - cells.value[last]
    missed_by = {form: float(np.exp(np.sqrt(np.mean(e**2)))) for form, e in errors.items()}
    try:
        missed_by["E + A/N^α + B/D^β"] = _levelling(x, tokens, cells.value, known)
    except UserError:  # one value in every cell
        pass
    return missed_by, int(last.sum())


def _levelling(x: np.ndarray, tokens: np.ndarray, value: np.ndarray, known: np.ndarray) -> float:
    """Return by which factor the levelling form, fitted to the cells `known`, misses the others.
    Raise UserError where there is nothing to fit."""
    rises = np.corrcoef(x[known] + tokens[known], value[known])[0, 1] > 0
    falling = -value if rises else value
    points = Points({"N": np.exp(x), "D": np.exp(tokens)}, np.exp(falling))
    return missed(problem_of(CHINCHILLA, points.subset(known)), points.subset(~known))
