"""The slopes beside the answer: one line for each judged kind, and one for each frontier with an
exponent of p."""

from typing import NamedTuple

from reports.answer import data_name
from reports.law import Fits
from reports.numbers import Number


class SlopeLine(NamedTuple):
    """One slope of robustness in p. `best`: of the most robust fits found, not of plain
    training."""

    label: str
    best: bool
    slope: Number
    low: Number
    high: Number

    def numbers(self) -> list[Number]:
        return [self.slope, self.low, self.high]


def slope_table(fits: Fits) -> list[SlopeLine]:
    """Return the lines, the frontier's first."""
    lines = []
    for fit in fits.frontier:
        if not fit.size.failure:
            family, _, labels = fit.problem.partition(", ")
            how = "exponent of p of the best fits found"
            lines.append(
                _line(f"{data_name(family).name}, {labels}", True, fit.problem, how, fit.size)
            )
    for fit in fits.kinds:
        if fit.judged:
            labels = fit.kind.removeprefix(f"{fit.family}, ")
            how = "fitted stability slope of the kind"
            label = f"{data_name(fit.family).name}, {labels}"
            lines.append(_line(label, False, fit.kind, how, fit.stability))
    return lines


def _line(label: str, best: bool, key: str, how: str, fitted) -> SlopeLine:
    """Return the line of a fit with slope, low, high and trials."""
    way = "best" if best else "plain"
    numbers = [
        Number(
            f"answer:{key}:{way} {name}",
            getattr(fitted, name),
            f"{how}, {name}",
            fitted.trials,
            "signed",
        )
        for name in ("slope", "low", "high")
    ]
    return SlopeLine(label, best, *numbers)
