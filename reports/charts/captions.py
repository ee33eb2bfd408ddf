"""Say in one sentence what a chart of trials shows, from the rows that it draws."""

from typing import Any

import numpy as np
import pandas as pd

from reports.charts.axes import Axis
from reports.charts.ticks import readable
from reports.fit_numbers import slope_numbers
from reports.fits.slope import Slope
from reports.numbers import Sentence

NAMED = 3
"""Kinds up to which a sentence gives each kind's figures."""


def of_slopes(noun: str, column: str, fitted: dict[str, Slope]) -> Sentence | str:
    """Return how a measure goes with p in each kind that has a slope; "" without any slope.

    A kind counts as rising or falling where the 95 % interval of its slope excludes 0.
    """
    known = {kind: slope for kind, slope in fitted.items() if not slope.failure}
    if not known:
        return ""
    if len(known) <= NAMED:
        return _each(noun, column, known)

    rising = sum(slope.low > 0 for slope in known.values())
    falling = sum(slope.high < 0 for slope in known.values())
    ordered = sorted(known, key=lambda kind: known[kind].slope)
    parts: dict[str, Any] = {"flattest": ordered[0], "steepest": ordered[-1]}
    for end in ("flattest", "steepest"):
        numbers = slope_numbers(f"law:{parts[end]}:{column}", known[parts[end]], column)
        parts |= {f"{end}_{name}": numbers[name] for name in ("b", "low", "high")}

    counted = _counted({"rises": rising, "falls": falling}, len(known), " with p")
    return Sentence(
        f"{_capital(noun)} {counted}. Exponents range from {{flattest_b}} ({{flattest_low}}"
        " to {flattest_high}), {flattest}, to {steepest_b} ({steepest_low} to {steepest_high}),"
        " {steepest}.",
        parts,
    )


def _each(noun: str, column: str, known: dict[str, Slope]) -> Sentence:
    parts: dict[str, Any] = {}
    pieces = []
    for i, (kind, slope) in enumerate(known.items()):
        numbers = slope_numbers(f"law:{kind}:{column}", slope, column)
        parts |= {f"{name}{i}": numbers[name] for name in ("b", "low", "high")}
        parts[f"kind{i}"] = kind
        pieces.append(f"{{b{i}}} ({{low{i}}} to {{high{i}}}) for {{kind{i}}}")
    listed = "; ".join(pieces)
    return Sentence(f"Exponent of p in {noun}: {listed}.", parts)


def of_rows(rows: pd.DataFrame, x: Axis, y: Axis) -> str:
    """Return how y moves from the smallest to the largest x of each kind; "" where no kind has two
    values of x.

    The figures are those of the marks. Nothing is fitted, so no interval is stated. With many kinds
    one counts as rising where all its trials at the largest x lie above all at the smallest.
    """
    ends = {str(kind): _ends(own, x, y) for kind, own in rows.groupby("kind")}
    ends = {kind: own for kind, own in ends.items() if own is not None}
    if not ends:
        return ""

    def medians(kind: str) -> str:
        before, after = (_written(float(end.median()), y) for end in ends[kind])
        return f"from {before} to {after} for {kind}"

    if all(end.eq(0).all() for own in ends.values() for end in own):
        return f"{_capital(y.named())} is 0 at the smallest and at the largest {x.named()}."

    intro = f"Between the smallest and the largest {x.named()}"
    if len(ends) <= NAMED:
        return f"{intro}, the median of {y.named()} goes {'; '.join(map(medians, ends))}."
    rising = sum(after.min() > before.max() for before, after in ends.values())
    falling = sum(after.max() < before.min() for before, after in ends.values())
    counted = _counted({"rises": rising, "falls": falling}, len(ends))
    in_proportion = not y.share and all(end.median() > 0 for own in ends.values() for end in own)
    most = max(ends, key=lambda kind: _change(*ends[kind], in_proportion))
    moves = "changes by the largest factor," if in_proportion else "moves most,"
    return (
        f"{intro}, {y.named()} {counted} by more than the spread between trials. Its median"
        f" {moves} {medians(most)}."
    )


def _ends(rows: pd.DataFrame, x: Axis, y: Axis) -> tuple[pd.Series, pd.Series] | None:
    """Return y at the smallest and at the largest x; None where they are one."""
    at = rows[x.column]
    if at.min() == at.max():
        return None
    return rows.loc[at.eq(at.min()), y.column], rows.loc[at.eq(at.max()), y.column]


def _written(value: float, y: Axis) -> str:
    return (
        readable(float(f"{100 * value:.3g}")) + " %" if y.share else readable(float(f"{value:.3g}"))
    )


def _change(before: pd.Series, after: pd.Series, in_proportion: bool) -> float:
    """Return the size of a move of the median: a log ratio, or a difference."""
    first, last = float(before.median()), float(after.median())
    return abs(float(np.log(last / first))) if in_proportion else abs(last - first)


def _counted(counts: dict[str, int], kinds: int, with_size: str = "") -> str:
    """Return such as "rises in 4 of 6 kinds and falls in 1". with_size: after the first verb."""
    (verb, count), *others = sorted(counts.items(), key=lambda own: -own[1])
    if count == kinds:
        return f"{verb}{with_size} in all {kinds} kinds"
    if count == 0:
        return f"can be told to rise or fall in none of {kinds} kinds"
    first = f"{verb}{with_size} in {count} of {kinds} kinds"
    return " and ".join([first, *(f"{verb} in {count}" for verb, count in others if count)])


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
