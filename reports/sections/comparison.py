"""The section "What changed": every slope and constant of two stores side by side, and the cells
that differ beyond noise."""

from typing import NamedTuple

import numpy as np

from reports.comparison import SHARE, Change, Comparison
from reports.measures import MEASURES
from reports.numbers import Number, Sentence
from reports.sections.section import Section, fill

MOST_CELLS = 50
"""Cells that the table shows, those that changed most first."""
NAMES = {measure.column: measure.name for measure in MEASURES}


class Line(NamedTuple):
    """One line of a table: a figure in both stores, its change with the interval, the verdict."""

    what: str
    measure: str
    before: Number
    after: Number
    change: Sentence
    verdict: str
    basis: str

    def numbers(self) -> list[Number]:
        return [self.before, self.after, *self.change.numbers()]


def section(found: Comparison) -> Section:
    summary = summary_of(found)
    figures = lines_of(found)
    cells = changed_lines(found)
    html = fill(
        "comparison.html.j2",
        names=found.names,
        summary=summary,
        figures=figures,
        cells=cells,
        hidden=sum(change.beyond for change in found.cells) - len(cells),
        only=list(zip(found.names, found.only, strict=True)),
        share=f"{100 * SHARE:g} %",
    )
    numbers = [*summary.numbers(), *(n for line in [*figures, *cells] for n in line.numbers())]
    return Section("comparison", f"What changed from {' to '.join(found.names)}", html, numbers)


def summary_of(found: Comparison) -> Sentence:
    """Return how many figures changed beyond noise."""
    figures = [*found.slopes, *found.constants]
    counts = {
        "figures": (len(figures), "slopes and constants that both stores have"),
        "moved": (sum(c.beyond for c in figures), "of these, intervals of the change without 0"),
        "cells": (len(found.cells), "cells that both stores have, with other rows"),
        "changed": (sum(c.beyond for c in found.cells), "of these, intervals without 0"),
        "same": (found.same, "cells all of whose rows are the same in both stores"),
    }
    parts = {
        name: Number(f"compare:{name}", value, how, style="int")
        for name, (value, how) in counts.items()
    }
    return Sentence(
        "Of {figures} slopes and constants, {moved} changed beyond noise; of {cells} figures of"
        " matching cells, {changed} did. {same} more cells have the same rows in both stores.",
        parts,
    )


def lines_of(found: Comparison) -> list[Line]:
    """Return the lines of the slopes and constants."""
    slopes = [_line(change, factor=False) for change in found.slopes]
    return [*slopes, *(_line(change, factor=True) for change in found.constants)]


def changed_lines(found: Comparison) -> list[Line]:
    """Return the lines of the cells that changed beyond noise, at most MOST_CELLS of them."""
    changed = [change for change in found.cells if change.beyond]
    changed.sort(key=lambda change: -abs(change.apart))
    return [_line(change, factor=True) for change in changed[:MOST_CELLS]]


def _line(change: Change, factor: bool) -> Line:
    """Return the line of a change, which is a factor where logarithms were compared."""
    key = f"compare:{change.column}:{change.what}"
    style = "sig3" if factor else "signed"

    def number(name: str, value: float, how: str) -> Number:
        shown = float(np.exp(value)) if factor and name not in ("before", "after") else value
        return Number(f"{key}:{name}", shown, how, change.trials, style)

    of_change = {
        "apart": number("apart", change.apart, "after / before" if factor else "after − before"),
        "low": number("low", change.low, f"lower end of its interval; {change.basis}"),
        "high": number("high", change.high, f"upper end of its interval; {change.basis}"),
    }
    if np.isfinite(change.low):
        sentence = Sentence(("×" if factor else "") + "{apart} ({low} to {high})", of_change)
        verdict = "beyond noise" if change.beyond else "not beyond noise"
    else:
        sentence = Sentence("{apart}", {"apart": of_change["apart"]})
        verdict = f"cannot tell: {change.failure or 'no noise to judge by'}"
    return Line(
        change.what,
        NAMES.get(change.column, change.column),
        number("before", change.before, "in the first store"),
        number("after", change.after, "in the second store"),
        sentence,
        verdict,
        change.basis,
    )
