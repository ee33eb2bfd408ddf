"""Say in one sentence what a chart of trials shows, from the rows that it draws."""

from typing import Any

import numpy as np
import pandas as pd

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

    unclear = len(known) - rising - falling
    counted = _counted({"rises": rising, "falls": falling, "may do either": unclear}, len(known))
    return Sentence(
        f"{_capital(noun)} {counted}: from p to the power {{flattest_b}} ({{flattest_low}} to"
        " {flattest_high}; {flattest}) to {steepest_b} ({steepest_low} to {steepest_high};"
        " {steepest}).",
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
    return Sentence(f"{_capital(noun)} goes with p to the power {listed}.", parts)


def of_rows(x_noun: str, y_noun: str, rows: pd.DataFrame, x: str, y: str) -> str:
    """Return how the median of y moves from the smallest to the largest x of each kind; of a kind
    with one x, and of no kind with two, nothing is said.

    The figures are those of the marks; nothing is fitted, so no interval is stated.
    """
    moves = {}
    for kind, own in rows.groupby("kind"):
        ends = own[x].min(), own[x].max()
        if ends[0] < ends[1]:
            before, after = (float(own.loc[own[x].eq(end), y].median()) for end in ends)
            moves[str(kind)] = (before, after)
    if not moves:
        return ""

    if len(moves) <= NAMED:
        each = "; ".join(
            f"from {before:.3g} to {after:.3g} for {kind}"
            for kind, (before, after) in moves.items()
        )
        return f"Between the smallest and the largest {x_noun}, median {y_noun} goes {each}."

    up = sum(after > before for before, after in moves.values())
    down = sum(after < before for before, after in moves.values())
    most = max(moves, key=lambda kind: _change(*moves[kind]))
    before, after = moves[most]
    counted = _counted({"rises": up, "falls": down, "stays": len(moves) - up - down}, len(moves))
    return (
        f"Between the smallest and the largest {x_noun}, median {y_noun} {counted}; it moves most"
        f" for {most}, from {before:.3g} to {after:.3g}."
    )


def _change(before: float, after: float) -> float:
    """Return the size of a move: a log ratio of positive values, else a difference."""
    if before > 0 and after > 0:
        return abs(float(np.log(after / before)))
    return abs(after - before)


def _counted(counts: dict[str, int], kinds: int) -> str:
    """Return such as "rises in 4 of 6 kinds and falls in 2"."""
    stated = [(verb, count) for verb, count in counts.items() if count]
    (verb, count), *others = stated
    first = f"{verb} in all {kinds} kinds" if count == kinds else f"{verb} in {count} of {kinds}"
    if count < kinds:
        first += " kinds"
    return " and ".join([first, *(f"{verb} in {count}" for verb, count in others)])


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
