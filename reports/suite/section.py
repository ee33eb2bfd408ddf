"""The section "Against a suite": whether each slope and cell agrees with the reference rows."""

from dataclasses import replace
from math import isfinite

from reports.comparison import SHARE
from reports.numbers import Number, Sentence
from reports.sections.comparison import Line, changed_lines, lines_of
from reports.sections.section import Section, fill
from reports.suite.agreement import Agreed, Agreement

WORDS = {"beyond noise": "differs beyond noise", "not beyond noise": "agrees within noise"}
"""Verdict of a comparison → the same about agreement."""


def section(found: Agreement) -> Section:
    parts = []
    numbers: list[Number] = []
    for place, agreed in enumerate(found.agreed):
        summary = summary_of(agreed, place)
        figures = own_lines(lines_of(agreed.compared), place)
        cells = own_lines(changed_lines(agreed.compared), place)
        parts.append((agreed, summary, figures, cells))
        numbers += summary.numbers()
        numbers += [number for line in [*figures, *cells] for number in line.numbers()]

    html = fill(
        "against.html.j2",
        suite=found.suite,
        store=found.store,
        frozen=found.frozen,
        parts=parts,
        share=f"{100 * SHARE:g} %",
    )
    return Section("against", f"Against {found.suite.name}", html, numbers)


def summary_of(agreed: Agreed, place: int = 0) -> Sentence:
    """Return how many figures agree within noise, how many differ, and how many cannot be told."""
    compared = agreed.compared
    figures = [*compared.slopes, *compared.constants]
    told = [change for change in figures if isfinite(change.low)]
    cells = [change for change in compared.cells if isfinite(change.low)]
    counts = {
        "agree": (sum(not c.beyond for c in told), "slopes and constants: intervals with 0"),
        "differ": (sum(c.beyond for c in told), "slopes and constants: intervals without 0"),
        "untold": (len(figures) - len(told), "slopes and constants without an interval"),
        "cells": (sum(not c.beyond for c in cells), "figures of cells: intervals with 0"),
        "apart": (sum(c.beyond for c in cells), "figures of cells: intervals without 0"),
        "unknown": (len(compared.cells) - len(cells), "figures of cells without an interval"),
        "same": (compared.same, "cells all of whose rows are equal in both"),
    }
    parts = {
        name: Number(f"against:{place}:{name}", value, how, style="int")
        for name, (value, how) in counts.items()
    }
    text = (
        "Slopes and constants on {hardware}: {agree} agree within noise, {differ} differ, of"
        " {untold} it cannot be told. Figures of cells: {cells} agree, {apart} differ, of {unknown}"
        " it cannot be told; {same} cells have equal rows."
    )
    before, after = agreed.versions
    if before != after:
        text += " The instruments are of version {before} there and {after} here."
    return Sentence(
        text, {**parts, "hardware": agreed.reference.hardware, "before": before, "after": after}
    )


def own_lines(lines: list[Line], place: int) -> list[Line]:
    """Return the lines of a comparison as lines about agreement. The keys of their numbers say
    which reference they belong to."""
    return [
        line._replace(
            before=_own(line.before, place),
            after=_own(line.after, place),
            change=Sentence(
                line.change.template,
                {name: _own(part, place) for name, part in line.change.parts.items()},
            ),
            verdict=WORDS.get(line.verdict, line.verdict),
        )
        for line in lines
    ]


def _own(number: Number, place: int) -> Number:
    return replace(number, key=f"against:{place}:{number.key.removeprefix('compare:')}")
