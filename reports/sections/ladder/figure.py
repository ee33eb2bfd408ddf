"""Describe a ladder: IsoFLOP curves with their minima, and the fitted form."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from reports.charts.chart import DASHED, STAR, Chart, Drawing, Line, Marks, Scale
from reports.charts.style import COLOURS, QUIET, SHAPES
from reports.charts.ticks import readable
from reports.fits.isoflop import Budget
from reports.fits.scaling import Scaling
from reports.numbers import Number, Sentence
from reports.sections.ladder.convention import Convention

LOSS = Scale("held-out loss, nats per token", log=False)
TOKENS = "tokens trained on"


def isoflop_chart(rows: pd.DataFrame, conventions: list[Convention]) -> Chart:
    """Draw the loss of every trial, the curve of each budget with its minimum, and the fitted
    surface at that compute: against N under each convention, and against tokens."""
    drawings = [
        _drawing(rows, convention, convention.n, f"N, {convention.name}", f"n{i}", conventions)
        for i, convention in enumerate(conventions)
    ]
    tokens = rows["tokens_seen"].to_numpy(float)
    drawings.append(_drawing(rows, conventions[0], tokens, TOKENS, "tokens", conventions))
    return Chart("IsoFLOP curves", tuple(drawings), "convention")


def _drawing(
    rows: pd.DataFrame,
    convention: Convention,
    across: np.ndarray,
    title: str,
    value: str,
    conventions: list[Convention],
) -> Drawing:
    """Return the drawing against `across` (trials,), the sizes or tokens of the trials.

    A fitted form is drawn only where every convention has one, so that drawings compare.
    """
    loss = rows["test_loss"].to_numpy(float)
    ids = rows["trial_id"].to_numpy()
    against_tokens = value == "tokens"
    formed = all(not isinstance(own.fit, str) for own in conventions)

    marks, lines = [], []
    in_no_budget = np.ones(len(rows), bool)
    for i, budget in enumerate(convention.budgets):
        colour = COLOURS[i % len(COLOURS)]
        in_no_budget &= ~budget.runs
        name = f"{_flop(budget.compute)} FLOP"
        shape = SHAPES[i % len(SHAPES)]
        marks.append(_trials(name, across, loss, ids, budget.runs, colour, shape))
        lines.append(_curve(budget, budget.at, against_tokens, Line((), (), colour)))
        marks += _minimum(budget, against_tokens, colour)
        if formed and not isinstance(convention.fit, str):
            dashed = Line((), (), colour, DASHED, width=1)
            form = _along(convention.fit, budget)
            lines.append(_curve(budget, form, against_tokens, dashed))
    if in_no_budget.any():
        name = "in no budget of three sizes"
        other = _trials(name, across, loss, ids, in_no_budget, QUIET, SHAPES[0])
        marks.append(other._replace(filled=False))

    return Drawing(
        Scale(title),
        LOSS,
        tuple(marks),
        tuple(lines),
        value=value,
        label=title,
        caption=_caption(convention),
        made_of=f"{len(rows):,} trials, one mark each.",
        height=380,
    )


def _trials(
    name: str,
    across: np.ndarray,
    loss: np.ndarray,
    ids: np.ndarray,
    own: np.ndarray,
    colour: str,
    shape: str,
) -> Marks:
    """Return marks for the trials where the mask `own` is true."""
    x, y, trials = tuple(across[own]), tuple(loss[own]), tuple(ids[own])
    return Marks(name, x, y, colour, shape, trials=trials)


def _caption(convention: Convention) -> Sentence | str:
    """Return where the minima of the smallest and the largest budget lie, and how sure their growth
    is."""
    pairs = zip(convention.budgets, convention.minima, strict=True)
    best = sorted(
        ((budget.compute, minimum.parts) for budget, minimum in pairs if not budget.failure),
        key=lambda own: own[0],
    )
    if len(best) < 2:
        return "Fewer than two budgets have a minimum."
    small, large = best[0][1], best[-1][1]
    parts = {
        "small": small["value"],
        "little": small["compute"],
        "large": large["value"],
        "much": large["compute"],
        "name": convention.name,
    }
    text = (
        "The size with the least loss is {small} parameters at {little} FLOP and {large} at {much}"
        " FLOP ({name}), "
    )
    exponent = convention.exponent.parts
    low = exponent.get("low")
    if not isinstance(low, Number):
        return Sentence(text + "without an interval for its growth.", parts)
    interval = "{power} ({low} to {high})."
    parts |= {"power": exponent["value"], "low": low, "high": exponent["high"]}
    if low.value > 0:
        return Sentence(text + "and grows as compute to the power " + interval, parts)
    return Sentence(text + "and whether it grows cannot be told: by a power of " + interval, parts)


def _minimum(budget: Budget, against_tokens: bool, colour: str) -> list[Marks]:
    """Return a budget's minimum; none where its curve has no minimum."""
    if budget.failure:
        return []
    n = budget.best.value
    x = budget.compute / 6 / n if against_tokens else n
    text = f"least loss of {_flop(budget.compute)} FLOP: {budget.loss:.4g} at N = {n:.3g}"
    return [Marks("", (x,), (budget.loss,), colour, STAR, size=9, texts=(text,))]


def _curve(
    budget: Budget, curve: Callable[[np.ndarray], np.ndarray], against_tokens: bool, look: Line
) -> Line:
    """Return a curve over the budget's sizes."""
    n = np.geomspace(budget.smallest, budget.largest, 40)
    x = budget.compute / 6 / n if against_tokens else n
    return look._replace(x=tuple(x), y=tuple(curve(n)))


def _along(fit: Scaling, budget: Budget) -> Callable[[np.ndarray], np.ndarray]:
    """Return the fitted form at the budget's compute, as a function of N."""
    return lambda n: fit.at(n, budget.compute / 6 / n)


def _flop(compute: float) -> str:
    return readable(float(f"{compute:.1e}"))
