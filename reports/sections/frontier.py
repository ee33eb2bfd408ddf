"""The section "The frontier": how robust the best fit found is, beside plain training and what the
law allows."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports.charts.frontier_dimension import multiples_chart
from reports.charts.frontier_radii import radii_chart, radii_words
from reports.evidence import Evidence
from reports.frontier_answer import FrontierFit
from reports.law import Fits
from reports.numbers import Number, Sentence
from reports.sections.frontier_sentences import sentences_of
from reports.sections.section import Section, fill

RADII = "frontier"
MULTIPLES = "frontier_d"
OF_CELL = {
    "n": ("column n", "int"),
    "d": ("column d_ambient", "int"),
    "p": ("column p", "int"),
    "radius": ("geometric mean over data seeds of the largest frontier_radius", "sig3"),
    "missed": ("geometric mean over data seeds of its frontier_radius_missed", "sig3"),
    "plain": ("geometric mean over data seeds of training_radius, plain training", "sig3"),
    "r_inf": ("mean radius_ceiling", "sig3"),
    "r_law": ("mean radius_law", "sig3"),
    "r_law_32bit": ("mean radius_law_32bit", "sig3"),
    "multiple": ("radius · √(n·d/p)", "sig3"),
}
"""Column of the table of cells → how it was computed, and its style."""
FLAGS = {
    "binds": "law can bind",
    "window": "in the window",
    "drawn": "r∞ from a draw of points",
    "trap": "one answer beyond r*",
}
"""Column of the radii → its words in the table, where it holds for every data seed."""


class CellRow(NamedTuple):
    """One cell: its figures by column of the table, without unknown ones, and its flags."""

    problem: str
    depth: str
    numbers: dict[str, Number]
    flags: str


class Answer(NamedTuple):
    """The sentences on one problem, the first of which is the answer."""

    problem: str
    sentences: list[Sentence]


def section(evidence: Evidence, fits: Fits) -> Section | None:
    fitted = fits.frontier
    if not fitted:
        return None

    answers = [Answer(fit.problem, sentences_of(fit)) for fit in fitted]
    rows = [row for fit in fitted for row in _table(fit)]
    charts = {RADII: radii_chart(fitted), MULTIPLES: multiples_chart(fitted)}
    figures = {key: chart for key, chart in charts.items() if chart is not None}
    drawn = radii_words(figures[RADII]) if RADII in figures else ""
    html = fill("frontier.html.j2", answers=answers, rows=rows, figures=figures, drawn=drawn)

    numbers = [n for answer in answers for s in answer.sentences for n in s.numbers()]
    numbers += [number for row in rows for number in row.numbers.values()]
    return Section("frontier", "The frontier: the most robust fit found", html, numbers, figures)


def _table(fit: FrontierFit) -> list[CellRow]:
    """Return the cells of a problem in the order of n, d, depth and p."""
    rows = []
    for name, own in fit.rows.sort_values(["n", "d", "depth", "p"]).groupby("cell", sort=False):
        first = own.iloc[0]
        trials = tuple(trial for of_seed in own["trial_id"] for trial in of_seed)
        plain = tuple(trial for of_seed in own["plain_id"] for trial in of_seed)
        values = _values(own)
        numbers = {
            column: Number(
                f"frontier:cell:{name}:{column}",
                float(values[column]),
                how,
                plain if column == "plain" else trials,
                style,
            )
            for column, (how, style) in OF_CELL.items()
            if pd.notna(values[column])
        }
        depth = "" if pd.isna(first["depth"]) else f"{first['depth']:g}"
        flags = [words for column, words in FLAGS.items() if own[column].all()]
        rows.append(CellRow(fit.problem, depth, numbers, ", ".join(flags)))
    return rows


def _values(own: pd.DataFrame) -> dict[str, Any]:
    """Return the means over the data seeds of one cell: geometric ones of what was found, as in the
    charts and the sentences, and plain ones of the ceilings."""
    ceilings = ("r_inf", "r_law", "r_law_32bit")
    means = {column: float(own[column].mean(skipna=False)) for column in ceilings}
    with np.errstate(divide="ignore"):  # a radius of 0 makes a mean of 0
        for column in ("radius", "missed", "plain"):
            means[column] = float(np.exp(np.log(own[column].to_numpy(float)).mean()))
    first = own.iloc[0]
    multiple = means["radius"] / float(first["by_law"]) ** 0.5
    return {"n": first["n"], "d": first["d"], "p": first["p"], "multiple": multiple, **means}
